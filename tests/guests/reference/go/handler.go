// The reference guest in Go: see its README in the folder above.
package main

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	sandman "sandman/sdk"
)

type told struct {
	Do   string `json:"do"`
	Text string `json:"text,omitempty"`
}

type counted struct {
	N int64 `json:"n"`
}

type (
	context = sandman.Context
	outcome = *sandman.Outcome[counted]
)

const route = "/reference/{key}"

var handler = sandman.Handler[counted]{
	Consumes: []sandman.Consumed[counted]{
		sandman.On("reference.told", []string{"1.0"}, onTold),
	},
	Serves: []sandman.Served[counted]{
		sandman.Route("GET", route, show),
		sandman.Route("PUT", route, keep),
		sandman.Route("DELETE", route, forget),
	},
	Emits: []sandman.Emitted{
		{Type: "reference.done", Version: "1.0"},
		sandman.Emits[counted]("reference.checked", "1.0"),
	},
	StateVersion: 2,
}

func done(payload any) outcome {
	return sandman.Keep[counted]().Emit("reference.done", "1.0", payload)
}

func onTold(event sandman.Event[told], state *counted, context context) (outcome, error) {
	text := event.Payload.Text
	switch event.Payload.Do {
	case "count":
		next := counted{N: 1}
		if state != nil {
			next.N = state.N + 1
		}
		return done(next).Put(next), nil
	case "forget":
		return done(struct{}{}).Remove(), nil
	case "echo":
		return done(event.PayloadJSON), nil
	case "text":
		return done(map[string]any{"text": text, "length": utf8.RuneCountInString(text)}), nil
	case "many":
		all := sandman.Keep[counted]()
		for range 1000 {
			all.Emit("reference.done", "1.0", struct{}{})
		}
		return all, nil
	case "log":
		sandman.Info("%s", text)
		return done(struct{}{}), nil
	case "context":
		var settings struct {
			Greeting *string `json:"greeting"`
		}
		if err := context.ReadSettings(&settings); err != nil {
			return nil, err
		}
		return done(map[string]any{
			"now": context.NowMillis, "attempt": context.Attempt, "greeting": settings.Greeting,
		}), nil
	case "envelope":
		return envelope(event)
	case "order":
		return order(strings.Split(text, " ")), nil
	default:
		return misbehave(event.Payload, context)
	}
}

// What is told to fail, or to show what the language has of its own.
func misbehave(told told, context context) (outcome, error) {
	switch told.Do {
	case "reject":
		return nil, sandman.Reject(told.Text)
	case "retry":
		if context.Attempt == 1 {
			return nil, sandman.Retry(told.Text)
		}
		return done(map[string]any{"attempt": context.Attempt}), nil
	case "panic":
		panic(told.Text)
	case "loop":
		for {
		}
	case "allocate":
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
			all[len(all)-1][len(all)] = 1
		}
	case "recurse":
		return done(map[string]any{"depth": recurse(1)}), nil
	case "clock":
		return done(map[string]any{"now": time.Now().UnixMilli(), "given": context.NowMillis}), nil
	case "random":
		return done(map[string]any{"random": rand.Int()}), nil
	case "unfit":
		return sandman.Keep[counted]().Emit("reference.checked", "1.0", map[string]any{"n": "text"}), nil
	case "undeclared":
		return sandman.Keep[counted]().Emit("reference.other", "1.0", struct{}{}), nil
	default:
		return nil, sandman.Reject("cannot do " + told.Do)
	}
}

func recurse(depth uint64) uint64 { return recurse(depth+1) + 1 }

func envelope(event sandman.Event[told]) (outcome, error) {
	orNull := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	payload := map[string]any{
		"key":           event.Key,
		"eventId":       event.ID,
		"version":       event.Version,
		"source":        event.Source,
		"timestamp":     event.Timestamp,
		"correlationId": orNull(event.CorrelationID),
		"metadata":      event.Metadata,
	}
	return sandman.Keep[counted]().EmitEvent(sandman.Emission{
		Type:     "reference.done",
		Version:  "1.0",
		Payload:  payload,
		Key:      "other",
		Metadata: map[string]string{"of": event.ID},
	}), nil
}

// Go has no set: a map without values is one.
func order(words []string) outcome {
	set, byWord := map[string]struct{}{}, map[string]int{}
	for index, word := range words {
		set[word] = struct{}{}
		byWord[word] = index
	}
	var inSet, inMap []string
	for word := range set {
		inSet = append(inSet, word)
	}
	for word := range byWord {
		inMap = append(inMap, word)
	}
	return done(map[string][]string{"set": inSet, "map": inMap})
}

func show(_ sandman.Request, state *counted, _ context) (outcome, error) {
	if state == nil {
		return sandman.Reply[counted](404, map[string]string{"error": "nothing"}), nil
	}
	return sandman.Reply[counted](200, state), nil
}

func keep(request sandman.Request, _ *counted, _ context) (outcome, error) {
	var body struct {
		N *int64 `json:"n"`
	}
	if err := request.ReadBody(&body); err != nil || body.N == nil {
		return sandman.Reply[counted](400, map[string]string{"error": "n"}), nil
	}
	var first *string
	for _, pair := range request.QueryParams {
		if pair[0] == "q" && first == nil {
			first = &pair[1]
		}
	}
	answer := map[string]any{"key": request.Param("key"), "first": first}
	next := counted{N: *body.N}
	return done(json.RawMessage(request.Body)).Put(next).Reply(200, answer), nil
}

func forget(sandman.Request, *counted, context) (outcome, error) {
	return sandman.Remove[counted]().ReplyEmpty(204), nil
}

func init() { sandman.Export(handler) }

func main() {}
