// Package sandmantest calls a handler natively in the same way as the host: the payload, the state and the outcome are
// converted to JSON text and back.
//
//	call := sandmantest.Event("user.created", "1.0", Created{UserID: "u1"}).State(Seen{Times: 41})
//	outcome, err := sandmantest.Run(handler, call)
package sandmantest

import (
	"encoding/json"
	"fmt"

	sandman "sandman/sdk"
)

// Call is one call of a handler. Set its inputs, then run it.
type Call struct {
	// Trigger is the event or request; all its fields can be changed.
	Trigger sandman.Trigger
	// Document is the key's state as JSON text, if there is one.
	Document *string
	// Context has the time 2025-01-01T00:00:00Z and the first attempt by default.
	Context sandman.Context
}

// Event creates a call with an event of the key key-1.
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

// Request creates a call with a request of the key key-1, without a body.
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

// State sets the state of the key.
func (c *Call) State(state any) *Call {
	document := string(text(state))
	c.Document = &document
	return c
}

// Settings sets the handler's settings.
func (c *Call) Settings(settings any) *Call {
	c.Context.Settings = text(settings)
	return c
}

// Attempt sets the number of the attempt, starting at 1.
func (c *Call) Attempt(attempt uint32) *Call {
	c.Context.Attempt = attempt
	return c
}

// NowMillis sets the time, in milliseconds since 1970.
func (c *Call) NowMillis(millis int64) *Call {
	c.Context.NowMillis = millis
	return c
}

// Body sets the JSON body of a request.
func (c *Call) Body(body any) *Call {
	c.Trigger.Request.Body = text(body)
	return c
}

// Claims sets the token's claims of a request.
func (c *Call) Claims(claims any) *Call {
	c.Trigger.Request.Claims = text(claims)
	return c
}

// Param adds a path parameter to a request.
func (c *Call) Param(name, value string) *Call {
	c.Trigger.Request.Params = append(c.Trigger.Request.Params, [2]string{name, value})
	return c
}

// Query adds a query parameter to a request.
func (c *Call) Query(name, value string) *Call {
	c.Trigger.Request.QueryParams = append(c.Trigger.Request.QueryParams, [2]string{name, value})
	return c
}

// Run calls the handler. An outcome that the host would reject is an error: a value that cannot be represented in JSON, or an event
// that the handler does not declare.
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

// Payload reads the payload of an event of an outcome. It panics if the event does not exist or is invalid.
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
