package sandman

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Failure is why a handler failed. Nothing else of the call is kept. Any other error that a handler's
// function returns is treated as a temporary failure.
type Failure struct {
	// Reason is stored with the dead letter.
	Reason string
	// Retry is true for a temporary failure.
	Retry bool
}

// Error returns the reason.
func (f *Failure) Error() string { return f.Reason }

// Reject creates a permanent failure: an event becomes a dead letter at once.
func Reject(reason string) error { return &Failure{Reason: reason} }

// Retry creates a temporary failure: the host waits and calls again, up to its limit of attempts.
func Retry(reason string) error { return &Failure{Reason: reason, Retry: true} }

// Outcome is the outcome of a handler. The host commits all of it atomically, or none of it.
type Outcome[S any] struct {
	// State is the change of the key's state.
	State Change[S]
	// Events are published in this order.
	Events []Emission
	// Answer is the answer to a request.
	Answer *Answer
}

// Change is the change of the state of the trigger's key. The state is kept if neither field is set.
type Change[S any] struct {
	// Put replaces the state.
	Put *S
	// Removed deletes the state.
	Removed bool
}

// Emission is an event to publish.
type Emission struct {
	// Type is the event type, which the handler must declare in Emits.
	Type string
	// Version is the payload version.
	Version string
	// Payload is written as JSON.
	Payload any
	// Key is the record's key in Kafka; the trigger's key if empty.
	Key string
	// Metadata is the envelope's metadata, written as a JSON object; none if nil.
	Metadata any
}

// Answer is the answer to a request.
type Answer struct {
	// Status is the HTTP status, 200 to 599.
	Status int
	// Body is written as JSON, unless HasBody is false.
	Body any
	// HasBody is whether there is a body.
	HasBody bool
}

// Keep creates an outcome without changes.
func Keep[S any]() *Outcome[S] { return &Outcome[S]{} }

// Put creates an outcome with a new document for the key's state.
func Put[S any](state S) *Outcome[S] { return Keep[S]().Put(state) }

// Remove creates an outcome that deletes the key's state.
func Remove[S any]() *Outcome[S] { return Keep[S]().Remove() }

// Reply creates an outcome with the answer to a request.
func Reply[S any](status int, body any) *Outcome[S] { return Keep[S]().Reply(status, body) }

// Put replaces the key's state with this document.
func (o *Outcome[S]) Put(state S) *Outcome[S] {
	o.State = Change[S]{Put: &state}
	return o
}

// Remove deletes the key's state.
func (o *Outcome[S]) Remove() *Outcome[S] {
	o.State = Change[S]{Removed: true}
	return o
}

// Emit publishes an event under the trigger's key.
func (o *Outcome[S]) Emit(eventType, version string, payload any) *Outcome[S] {
	return o.EmitEvent(Emission{Type: eventType, Version: version, Payload: payload})
}

// EmitEvent publishes an event with its own key or metadata.
func (o *Outcome[S]) EmitEvent(event Emission) *Outcome[S] {
	o.Events = append(o.Events, event)
	return o
}

// Reply answers a request with a status and a JSON body.
func (o *Outcome[S]) Reply(status int, body any) *Outcome[S] {
	o.Answer = &Answer{Status: status, Body: body, HasBody: true}
	return o
}

// ReplyEmpty answers a request with a status and no body.
func (o *Outcome[S]) ReplyEmpty(status int) *Outcome[S] {
	o.Answer = &Answer{Status: status}
	return o
}

// Written is an outcome as the host receives it, with all JSON as text.
type Written struct {
	// State is the new document, if there is one.
	State *string
	// Removed is whether the state is deleted.
	Removed bool
	// Events are the events to publish.
	Events []WrittenEvent
	// Status is the status of the answer; 0 for no answer.
	Status int
	// Body is the body of the answer, if it has one.
	Body *string
}

// WrittenEvent is an event as the host receives it.
type WrittenEvent struct {
	// Type is the event type.
	Type string
	// Version is the payload version.
	Version string
	// Payload is JSON text.
	Payload string
	// Key is the record's key; the trigger's key if it is missing.
	Key *string
	// Metadata is JSON text, if there is any.
	Metadata *string
}

// Write serializes the outcome. A value that cannot be represented in JSON is rejected by name.
func (o *Outcome[S]) Write() (Written, error) {
	written := Written{Removed: o.State.Removed}
	if o.State.Put != nil {
		text, err := write("the state", o.State.Put)
		if err != nil {
			return Written{}, err
		}
		written.State = &text
	}
	for _, event := range o.Events {
		one := WrittenEvent{Type: event.Type, Version: event.Version}
		var err error
		if one.Payload, err = write("the payload of "+event.Type, event.Payload); err != nil {
			return Written{}, err
		}
		if event.Metadata != nil {
			text, err := write("the metadata of "+event.Type, event.Metadata)
			if err != nil {
				return Written{}, err
			}
			one.Metadata = &text
		}
		if event.Key != "" {
			one.Key = &event.Key
		}
		written.Events = append(written.Events, one)
	}
	if o.Answer == nil {
		return written, nil
	}
	written.Status = o.Answer.Status
	if o.Answer.HasBody {
		text, err := write("the reply's body", o.Answer.Body)
		if err != nil {
			return Written{}, err
		}
		written.Body = &text
	}
	return written, nil
}

// Writes JSON without HTML escaping: `<` stays `<`.
func write(what string, value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", Reject(fmt.Sprintf("%s cannot be JSON: %v", what, err))
	}
	return string(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), nil
}
