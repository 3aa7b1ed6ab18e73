// Package sandmantest calls a handler as the host would, natively: the payload, the state and what the handler decided go
// through JSON text.
//
//	call := sandmantest.Event("user.created", "1.0", Created{UserID: "u1"}).State(Seen{Times: 41})
//	outcome, err := sandmantest.Run(handler, call)
package sandmantest

import (
	"encoding/json"
	"fmt"

	sandman "sandman/sdk"
)

// Call is one call of a handler, to be filled in and run.
type Call struct {
	// Trigger is what calls; all its fields may be changed.
	Trigger sandman.Trigger
	// Document is the key's state, JSON text; nothing if there is none.
	Document *string
	// Context has 2025-01-01T00:00:00Z as the time and the first attempt.
	Context sandman.Context
}

// Event is an event of the key key-1.
func Event(eventType, version string, payload any) *Call {
	return call(sandman.Trigger{Event: &sandman.Event[json.RawMessage]{
		Payload:   text(payload),
		Key:       "key-1",
		ID:        "00000000-0000-4000-8000-000000000001",
		Type:      eventType,
		Version:   version,
		Timestamp: "2025-01-01T00:00:00.000Z",
		Source:    "test",
	}})
}

// Request is a request of the key key-1, without a body.
func Request(method, route string) *Call {
	return call(sandman.Trigger{Request: &sandman.Request{
		Key:           "key-1",
		Method:        method,
		Route:         route,
		CorrelationID: "00000000-0000-4000-8000-000000000002",
	}})
}

func call(trigger sandman.Trigger) *Call {
	context := sandman.Context{NowMillis: 1_735_689_600_000, Attempt: 1, Settings: json.RawMessage("{}")}
	return &Call{Trigger: trigger, Context: context}
}

// State gives the key a state.
func (c *Call) State(state any) *Call {
	document := string(text(state))
	c.Document = &document
	return c
}

// Settings gives the handler settings.
func (c *Call) Settings(settings any) *Call {
	c.Context.Settings = text(settings)
	return c
}

// Attempt is which try this is, from 1.
func (c *Call) Attempt(attempt uint32) *Call {
	c.Context.Attempt = attempt
	return c
}

// NowMillis is the time, in milliseconds since 1970.
func (c *Call) NowMillis(millis int64) *Call {
	c.Context.NowMillis = millis
	return c
}

// Body gives a request a JSON body.
func (c *Call) Body(body any) *Call {
	c.Trigger.Request.Body = text(body)
	return c
}

// Claims gives a request the claims of a token.
func (c *Call) Claims(claims any) *Call {
	c.Trigger.Request.Claims = text(claims)
	return c
}

// Param gives a request a parameter of the path.
func (c *Call) Param(name, value string) *Call {
	c.Trigger.Request.Params = append(c.Trigger.Request.Params, [2]string{name, value})
	return c
}

// Query gives a request a parameter of the query.
func (c *Call) Query(name, value string) *Call {
	c.Trigger.Request.QueryParams = append(c.Trigger.Request.QueryParams, [2]string{name, value})
	return c
}

// Run calls the handler. An outcome that the host would refuse is an error: one that cannot be JSON, or an event that the
// handler does not say it emits.
func Run[S any](handler sandman.Handler[S], call *Call) (*sandman.Outcome[S], error) {
	outcome, err := handler.Call(call.Trigger, call.Document, call.Context)
	if err != nil {
		return nil, err
	}
	if outcome == nil {
		outcome = sandman.Keep[S]()
	}
	written, err := outcome.Write()
	if err != nil {
		return nil, err
	}
	for i, event := range written.Events {
		if !emits(handler.Emits, event) {
			return nil, sandman.Reject(fmt.Sprintf("the handler does not say that it emits %s %s", event.Type, event.Version))
		}
		outcome.Events[i].Payload = json.RawMessage(event.Payload)
	}
	return outcome, nil
}

func emits(emitted []sandman.Emitted, event sandman.WrittenEvent) bool {
	for _, one := range emitted {
		if one.Type == event.Type && one.Version == event.Version {
			return true
		}
	}
	return false
}

// Payload reads the payload of an event of an outcome. It panics if the event is not there or does not fit.
func Payload[P, S any](outcome *sandman.Outcome[S], event int) P {
	var payload P
	if err := json.Unmarshal(text(outcome.Events[event].Payload), &payload); err != nil {
		panic(err)
	}
	return payload
}

func text(value any) json.RawMessage {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("a value that cannot be JSON: %v", err))
	}
	return text
}
