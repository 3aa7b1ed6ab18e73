package sandman

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Event is an event from a topic, with its payload read as P.
type Event[P any] struct {
	// Payload is what the sender says.
	Payload P
	// PayloadJSON is the payload as it came, JSON text.
	PayloadJSON json.RawMessage
	// Key orders the event and owns the state.
	Key string
	// ID is the envelope's eventId: unique for this event.
	ID string
	// Type is the envelope's eventType, for example user.created.
	Type string
	// Version is the version of the payload's shape that was sent, for example 1.0.
	Version string
	// Timestamp is the sender's, ISO 8601.
	Timestamp string
	// Source is the service that published the event.
	Source string
	// CorrelationID ties together all that one request set off; empty if the sender left it out.
	CorrelationID string
	// CausationID is the id of the event that caused this one; empty if the sender left it out.
	CausationID string
	// Metadata is the envelope's metadata, a JSON text; nothing if the sender left it out.
	Metadata json.RawMessage
}

// ReadMetadata reads the envelope's metadata; nothing is changed where there is none.
func (e Event[P]) ReadMetadata(into any) error {
	if e.Metadata == nil {
		return nil
	}
	return read("metadata", string(e.Metadata), into)
}

// Request is an HTTP request, already routed, authenticated and parsed by the host.
type Request struct {
	// Key orders the request and owns the state.
	Key string
	// Method is the HTTP method, upper case.
	Method string
	// Route is the route's pattern.
	Route string
	// Params are the path's parameters (name, value), decoded.
	Params [][2]string
	// QueryParams are the query's parameters (name, value), decoded, in the order of the request.
	QueryParams [][2]string
	// Claims are the claims of the verified token, a JSON object; nothing if no token was sent.
	Claims json.RawMessage
	// Body is the body, JSON text; nothing if it was empty.
	Body json.RawMessage
	// Files are the files of a multipart upload, which the host has stored.
	Files []UploadedFile
	// CorrelationID ties together all that this request sets off.
	CorrelationID string
}

// UploadedFile is a stored upload. A handler sees where a file is, never its bytes.
type UploadedFile struct {
	// Field is the name of the form field.
	Field string
	// URL is where the file is served from.
	URL string
	// MediaType is known by the content, for example image/png.
	MediaType string
	// Size is in bytes.
	Size uint64
	// Digest is the SHA-256 of the content, lower-case hex.
	Digest string
}

// Param is a parameter of the path; empty if the pattern has none of this name.
func (r Request) Param(name string) string { return first(r.Params, name) }

// Query is the first parameter of the query of this name; empty if there is none.
func (r Request) Query(name string) string { return first(r.QueryParams, name) }

// ReadBody reads the body. An empty body and one that does not fit are rejected, with the field named.
func (r Request) ReadBody(into any) error {
	if r.Body == nil {
		return Reject(fmt.Sprintf("%s %s: the body is empty", r.Method, r.Route))
	}
	return within(fmt.Sprintf("%s %s", r.Method, r.Route), read("body", string(r.Body), into))
}

// ReadClaims reads the claims of the token. No token and claims that do not fit are rejected.
func (r Request) ReadClaims(into any) error {
	if r.Claims == nil {
		return Reject(fmt.Sprintf("%s %s: there is no token", r.Method, r.Route))
	}
	return within(fmt.Sprintf("%s %s", r.Method, r.Route), read("claims", string(r.Claims), into))
}

// Context is what a pure handler may know of its surroundings.
type Context struct {
	// NowMillis is the time, taken once for this call: milliseconds since 1970-01-01T00:00:00Z.
	NowMillis int64
	// Attempt is which try of this trigger this is, from 1.
	Attempt uint32
	// Settings are the handler's own settings from the host's configuration, a JSON object.
	Settings json.RawMessage
}

// Now is the time of the call, in UTC.
func (c Context) Now() time.Time { return time.UnixMilli(c.NowMillis).UTC() }

// NowISO is the time of the call as envelopes write it: 2025-01-01T00:00:00.000Z.
func (c Context) NowISO() string { return c.Now().Format("2006-01-02T15:04:05.000Z") }

// ReadSettings reads the settings. What does not fit is rejected, with the field named.
func (c Context) ReadSettings(into any) error {
	text := string(c.Settings)
	if text == "" {
		text = "{}"
	}
	return read("settings", text, into)
}

func first(pairs [][2]string, name string) string {
	for _, pair := range pairs {
		if pair[0] == name {
			return pair[1]
		}
	}
	return ""
}

// An event whose payload has not been read.
type wireEvent struct{ raw *Event[json.RawMessage] }

func readEvent[P any](wire wireEvent) (Event[P], error) {
	event := Event[P]{
		PayloadJSON:   wire.raw.Payload,
		Key:           wire.raw.Key,
		ID:            wire.raw.ID,
		Type:          wire.raw.Type,
		Version:       wire.raw.Version,
		Timestamp:     wire.raw.Timestamp,
		Source:        wire.raw.Source,
		CorrelationID: wire.raw.CorrelationID,
		CausationID:   wire.raw.CausationID,
		Metadata:      wire.raw.Metadata,
	}
	err := read("payload", string(wire.raw.Payload), &event.Payload)
	return event, within(event.Type+" "+event.Version, err)
}

func readState[S any](text *string) (*S, error) {
	if text == nil {
		return nil, nil
	}
	state := new(S)
	if err := read("state", *text, state); err != nil {
		return nil, err
	}
	return state, nil
}

// Reads JSON text. A number that goes into an `any` keeps its digits, as a json.Number.
func read(what, text string, into any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	err := decoder.Decode(into)
	if err == nil {
		if _, more := decoder.Token(); more != io.EOF {
			return Reject(what + ": there is text after the value")
		}
		return nil
	}
	// The value itself stays out of the text, which reaches logs.
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		place := what
		if mismatch.Field != "" {
			place += "." + mismatch.Field
		}
		found, _, _ := strings.Cut(mismatch.Value, " ")
		return Reject(fmt.Sprintf("%s: expected %s, found %s", place, mismatch.Type, found))
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return Reject(what + ": invalid JSON")
	}
	return Reject(fmt.Sprintf("%s: %v", what, err))
}

func within(where string, err error) error {
	var failure *Failure
	if errors.As(err, &failure) {
		return &Failure{Reason: where + ": " + failure.Reason, Retry: failure.Retry}
	}
	return err
}
