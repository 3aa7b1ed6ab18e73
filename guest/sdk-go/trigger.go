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
	// Payload is the event's payload.
	Payload P
	// PayloadJSON is the payload as sent, as JSON text.
	PayloadJSON json.RawMessage
	// Key determines the order of the event and its state.
	Key string
	// ID is the envelope's eventId: unique for this event.
	ID string
	// Type is the envelope's eventType, for example user.created.
	Type string
	// Version is the payload version, for example 1.0.
	Version string
	// Timestamp is the sender's timestamp, ISO 8601.
	Timestamp string
	// Source is the service that published the event.
	Source string
	// CorrelationID identifies everything that was caused by one request; empty if the sender did not set it.
	CorrelationID string
	// CausationID is the id of the event that caused this one; empty if the sender did not set it.
	CausationID string
	// Metadata is the envelope's metadata as JSON text, if the sender set it.
	Metadata json.RawMessage
}

// ReadMetadata reads the envelope's metadata; it changes nothing if there is none.
func (e Event[P]) ReadMetadata(into any) error {
	if e.Metadata == nil {
		return nil
	}
	return read("metadata", string(e.Metadata), into)
}

// Request is an HTTP request, already routed, authenticated and parsed by the host.
type Request struct {
	// Key determines the order of the request and its state.
	Key string
	// Method is the HTTP method, upper case.
	Method string
	// Route is the pattern of the route.
	Route string
	// Params are the path parameters (name, value), decoded.
	Params [][2]string
	// QueryParams are the query parameters (name, value), decoded, in the order of the request.
	QueryParams [][2]string
	// Claims are the claims of the verified token, a JSON object, if a token was sent.
	Claims json.RawMessage
	// Body is the body as JSON text; missing if it was empty.
	Body json.RawMessage
	// Files are the files of a multipart upload, already stored by the host.
	Files []UploadedFile
	// CorrelationID identifies everything that is caused by this request.
	CorrelationID string
}

// UploadedFile is a stored upload. A handler receives the location of a file, never its bytes.
type UploadedFile struct {
	// Field is the name of the form field.
	Field string
	// URL is the address at which the file is served.
	URL string
	// MediaType is detected from the content, for example image/png.
	MediaType string
	// Size is in bytes.
	Size uint64
	// Digest is the SHA-256 of the content, lower-case hex.
	Digest string
}

// Param returns a path parameter; empty if the pattern has none with this name.
func (r Request) Param(name string) string { return first(r.Params, name) }

// Query returns the first query parameter with this name; empty if there is none.
func (r Request) Query(name string) string { return first(r.QueryParams, name) }

// ReadBody reads the body. An empty or invalid body is rejected, with the name of the field.
func (r Request) ReadBody(into any) error {
	if r.Body == nil {
		return Reject(fmt.Sprintf("%s %s: the body is empty", r.Method, r.Route))
	}
	return within(fmt.Sprintf("%s %s", r.Method, r.Route), read("body", string(r.Body), into))
}

// ReadClaims reads the claims of the token. A missing token and invalid claims are rejected.
func (r Request) ReadClaims(into any) error {
	if r.Claims == nil {
		return Reject(fmt.Sprintf("%s %s: there is no token", r.Method, r.Route))
	}
	return within(fmt.Sprintf("%s %s", r.Method, r.Route), read("claims", string(r.Claims), into))
}

// Context is the context of a call.
type Context struct {
	// NowMillis is the time, taken once for this call: milliseconds since 1970-01-01T00:00:00Z.
	NowMillis int64
	// Attempt is the number of the attempt for this trigger, starting at 1.
	Attempt uint32
	// Settings are the handler's own settings from the host's configuration, a JSON object.
	Settings json.RawMessage
}

// Now returns the time of the call, in UTC.
func (c Context) Now() time.Time { return time.UnixMilli(c.NowMillis).UTC() }

// NowISO returns the time of the call in the format of envelopes: 2025-01-01T00:00:00.000Z.
func (c Context) NowISO() string { return c.Now().Format("2006-01-02T15:04:05.000Z") }

// ReadSettings reads the settings. An invalid setting is rejected by name.
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

// Reads JSON text. A number in an `any` keeps its digits, as a json.Number.
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
	// The message does not contain the value, because it is logged.
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
