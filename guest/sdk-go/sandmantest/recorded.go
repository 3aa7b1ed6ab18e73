package sandmantest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	sandman "sandman/sdk"
)

// Recording is a recorded invocation: a call to run, and its outcome in the host.
type Recording struct {
	// ID is its name in the host, such as r12-0; empty if it has none.
	ID string
	// Handler is the name of the recorded handler.
	Handler string
	// Call is the call, with the recorded state and context.
	Call *Call
	// Outcome is its outcome.
	Outcome RecordedOutcome
}

// RecordedOutcome is the outcome of a recorded invocation: one of the two, or neither if the version did not consume the event.
type RecordedOutcome struct {
	// Decided is the handler's decision.
	Decided *RecordedDecision
	// Failed is why there was no outcome.
	Failed *RecordedFailure
}

// RecordedDecision is a handler's decision; JSON is kept as text, as written by the handler.
type RecordedDecision struct {
	// State is the new document, if there is one.
	State *string
	// Removed is whether the state was deleted.
	Removed bool
	// Events are the published events.
	Events []RecordedEvent
	// Reply is the answer to a request.
	Reply *RecordedReply
}

// RecordedEvent is an event that was published.
type RecordedEvent struct {
	// Type is the event type.
	Type string `json:"eventType"`
	// Version is the payload version.
	Version string `json:"version"`
	// Payload is JSON text.
	Payload string `json:"payload"`
}

// RecordedReply is the answer to a request.
type RecordedReply struct {
	// Status is the HTTP status.
	Status int `json:"status"`
	// Body is JSON text, if there was a body.
	Body *string `json:"body"`
}

// RecordedFailure says why there was no outcome.
type RecordedFailure struct {
	// Cause is rejected, retry, trap, exceeded and so on.
	Cause string `json:"cause"`
	// Reason is for people.
	Reason string `json:"reason"`
}

// The format that this SDK reads.
const format = 1

// Recorded reads the recordings in the text of a file from `sandman recordings NAME --export FILE`, one per line. The error
// has the number of an invalid line.
//
//	text, _ := os.ReadFile("profile.jsonl")
//	all, err := sandmantest.Recorded(string(text))
//	for _, recording := range all {
//		if err := sandmantest.Check(handler, recording); err != nil {
//			t.Error(err)
//		}
//	}
func Recorded(text string) ([]*Recording, error) {
	var all []*Recording
	for number, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" {
			continue
		}
		one, err := read(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
		all = append(all, one)
	}
	return all, nil
}

type line struct {
	Format  int
	ID      string
	Handler string
	Key     string
	Trigger struct {
		Event   *struct{ Value json.RawMessage }
		Request *request
	}
	State   *string
	Context struct {
		NowMillis int64
		Attempt   uint32
		Settings  string
	}
	Outcome json.RawMessage
}

type request struct {
	Method        string
	Route         string
	Params        [][2]string
	Query         [][2]string
	Claims        *string
	Body          *string
	Files         []sandman.UploadedFile
	CorrelationID string
}

type envelope struct {
	EventID       string
	EventType     string
	Timestamp     string
	Version       string
	Source        string
	CorrelationID string
	CausationID   string
	Metadata      json.RawMessage
	Payload       json.RawMessage
}

func read(text string) (*Recording, error) {
	var line line
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		return nil, err
	}
	if line.Format != format {
		return nil, fmt.Errorf("it has format %d, this SDK reads format %d", line.Format, format)
	}
	trigger, err := line.trigger()
	if err != nil {
		return nil, err
	}
	outcome, err := readOutcome(line.Outcome)
	if err != nil {
		return nil, err
	}
	context := sandman.Context{
		NowMillis: line.Context.NowMillis,
		Attempt:   line.Context.Attempt,
		Settings:  json.RawMessage(line.Context.Settings),
	}
	call := &Call{Trigger: trigger, Document: line.State, Context: context}
	return &Recording{ID: line.ID, Handler: line.Handler, Call: call, Outcome: outcome}, nil
}

func (l *line) trigger() (sandman.Trigger, error) {
	if given := l.Trigger.Request; given != nil {
		return sandman.Trigger{Request: &sandman.Request{
			Key:           l.Key,
			Method:        given.Method,
			Route:         given.Route,
			Params:        given.Params,
			QueryParams:   given.Query,
			Claims:        raw(given.Claims),
			Body:          raw(given.Body),
			Files:         given.Files,
			CorrelationID: given.CorrelationID,
		}}, nil
	}
	var value string
	if l.Trigger.Event == nil || json.Unmarshal(l.Trigger.Event.Value, &value) != nil {
		return sandman.Trigger{}, errors.New("the event's value is no text")
	}
	var envelope envelope
	if err := json.Unmarshal([]byte(value), &envelope); err != nil {
		return sandman.Trigger{}, err
	}
	if string(envelope.Metadata) == "null" {
		envelope.Metadata = nil
	}
	return sandman.Trigger{Event: &sandman.Event[json.RawMessage]{
		Payload:       envelope.Payload,
		Key:           l.Key,
		ID:            envelope.EventID,
		Type:          envelope.EventType,
		Version:       envelope.Version,
		Timestamp:     envelope.Timestamp,
		Source:        envelope.Source,
		CorrelationID: envelope.CorrelationID,
		CausationID:   envelope.CausationID,
		Metadata:      envelope.Metadata,
	}}, nil
}

func raw(text *string) json.RawMessage {
	if text == nil {
		return nil
	}
	return json.RawMessage(*text)
}

func readOutcome(text json.RawMessage) (RecordedOutcome, error) {
	if string(text) == `"ignored"` {
		return RecordedOutcome{}, nil
	}
	var outcome struct {
		Decided *struct {
			State  json.RawMessage
			Events []RecordedEvent
			Reply  *RecordedReply
		}
		Failed *RecordedFailure
	}
	if err := json.Unmarshal(text, &outcome); err != nil {
		return RecordedOutcome{}, err
	}
	if outcome.Decided == nil {
		return RecordedOutcome{Failed: outcome.Failed}, nil
	}
	decided := &RecordedDecision{Events: outcome.Decided.Events, Reply: outcome.Decided.Reply}
	switch state := string(outcome.Decided.State); state {
	case `"keep"`:
	case `"delete"`:
		decided.Removed = true
	default:
		var put struct{ Put *string }
		if err := json.Unmarshal(outcome.Decided.State, &put); err != nil {
			return RecordedOutcome{}, err
		}
		decided.State = put.Put
	}
	return RecordedOutcome{Decided: decided}, nil
}

// Check runs a recorded call. The error says where the outcome differs from the recorded one; JSON is compared as text. A
// function cannot return a trap or an exceeded limit, so for those any failure is accepted.
func Check[S any](handler sandman.Handler[S], recording *Recording) error {
	if recording.Outcome == (RecordedOutcome{}) {
		return nil
	}
	now, err := again(handler, recording.Call)
	if err != nil {
		return err
	}
	before, after := told(recording.Outcome), told(now)
	if before != after {
		return fmt.Errorf("%s: recorded is %s, now it is %s", recording.ID, before, after)
	}
	return nil
}

// The outcome of a call now. A panic is a trap in a component.
func again[S any](handler sandman.Handler[S], call *Call) (now RecordedOutcome, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			now = RecordedOutcome{Failed: &RecordedFailure{Cause: "trap", Reason: fmt.Sprint(panicked)}}
		}
	}()
	outcome, err := Run(handler, call)
	var failure *sandman.Failure
	switch {
	case errors.As(err, &failure) && !failure.Retry:
		return RecordedOutcome{Failed: &RecordedFailure{Cause: "rejected", Reason: failure.Reason}}, nil
	case err != nil:
		return RecordedOutcome{Failed: &RecordedFailure{Cause: "retry", Reason: err.Error()}}, nil
	}
	written, err := outcome.Write()
	if err != nil {
		return RecordedOutcome{}, err
	}
	decided := &RecordedDecision{State: written.State, Removed: written.Removed}
	for _, event := range written.Events {
		decided.Events = append(decided.Events, RecordedEvent{Type: event.Type, Version: event.Version, Payload: event.Payload})
	}
	if written.Status != 0 {
		decided.Reply = &RecordedReply{Status: written.Status, Body: written.Body}
	}
	return RecordedOutcome{Decided: decided}, nil
}

// The compared values.
func told(outcome RecordedOutcome) string {
	if failed := outcome.Failed; failed != nil {
		if failed.Cause == "rejected" || failed.Cause == "retry" {
			return failed.Cause + ": " + failed.Reason
		}
		return "a failure"
	}
	decided := *outcome.Decided
	if len(decided.Events) == 0 {
		decided.Events = nil
	}
	return string(text(decided))
}
