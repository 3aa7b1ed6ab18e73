package sandman

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Failure is why a handler could not do its work. Nothing else of the call is kept. Any other error that a handler's
// function returns counts as one that may be tried again.
type Failure struct {
	// Reason is kept with the dead letter.
	Reason string
	// Retry says whether trying again may help.
	Retry bool
}

// Error is the reason.
func (f *Failure) Error() string { return f.Reason }

// Reject is a failure that trying again will not cure: an event becomes a dead letter at once.
func Reject(reason string) error { return &Failure{Reason: reason} }

// Retry is a failure that trying again may cure: the host waits and calls again, up to its bound.
func Retry(reason string) error { return &Failure{Reason: reason, Retry: true} }

// Outcome is what a handler decided. The host makes all of it durable at once, or none of it.
type Outcome[S any] struct {
	// State is what becomes of the key's state.
	State Change[S]
	// Events are to be published, in this order.
	Events []Emission
	// Answer is the answer to a request.
	Answer *Answer
}

// Change is what becomes of the state of the trigger's key: it stays if neither is set.
type Change[S any] struct {
	// Put takes its place.
	Put *S
	// Removed says that it goes.
	Removed bool
}

// Emission is an event to publish.
type Emission struct {
	// Type is the event type, which must be among those that the handler emits.
	Type string
	// Version is the version of the payload's shape.
	Version string
	// Payload is written as JSON.
	Payload any
	// Key is the record's key in Kafka; the trigger's if empty.
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
	// HasBody says whether there is one.
	HasBody bool
}

// Keep starts from "nothing changes".
func Keep[S any]() *Outcome[S] { return &Outcome[S]{} }

// Put starts with a new document for the key's state.
func Put[S any](state S) *Outcome[S] { return Keep[S]().Put(state) }

// Remove starts with the key's state removed.
func Remove[S any]() *Outcome[S] { return Keep[S]().Remove() }

// Reply starts with the answer to a request.
func Reply[S any](status int, body any) *Outcome[S] { return Keep[S]().Reply(status, body) }

// Put puts this document in the place of the key's state.
func (o *Outcome[S]) Put(state S) *Outcome[S] {
	o.State = Change[S]{Put: &state}
	return o
}

// Remove removes the key's state.
func (o *Outcome[S]) Remove() *Outcome[S] {
	o.State = Change[S]{Removed: true}
	return o
}

// Emit publishes an event under the trigger's key.
func (o *Outcome[S]) Emit(eventType, version string, payload any) *Outcome[S] {
	return o.EmitEvent(Emission{Type: eventType, Version: version, Payload: payload})
}

// EmitEvent publishes an event that has a key or metadata of its own.
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

// Written is an outcome as the host gets it: all JSON is text.
type Written struct {
	// State is the new document; nothing if there is none.
	State *string
	// Removed says that the state goes.
	Removed bool
	// Events are to be published.
	Events []WrittenEvent
	// Status is the answer's; 0 for no answer.
	Status int
	// Body is the answer's; nothing if it has none.
	Body *string
}

// WrittenEvent is an event as the host gets it.
type WrittenEvent struct {
	// Type is the event type.
	Type string
	// Version is the version of the payload's shape.
	Version string
	// Payload is JSON text.
	Payload string
	// Key is the record's key; nothing for the trigger's.
	Key *string
	// Metadata is JSON text; nothing if there is none.
	Metadata *string
}

// Write writes the outcome down. What cannot be JSON is rejected, and named.
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

// Writes JSON as other languages do: `<` stays `<`.
func write(what string, value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", Reject(fmt.Sprintf("%s cannot be JSON: %v", what, err))
	}
	return string(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), nil
}
