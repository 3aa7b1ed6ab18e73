// Package sandman is the SDK for Sandman handlers in Go.
//
// A handler consists of plain functions, one for each event type and route, and a [Handler] that lists them. [Export] turns them into a
// component. In native builds they stay plain functions that can be tested with go test and the package sandmantest, without WebAssembly,
// Kafka or the host.
//
//	type Created struct {
//		UserID string `json:"userId"`
//	}
//
//	type Seen struct {
//		Times uint64 `json:"times"`
//	}
//
//	var handler = sandman.Handler[Seen]{
//		Consumes: []sandman.Consumed[Seen]{
//			sandman.On("user.created", []string{"1.0"}, created),
//		},
//		Emits: []sandman.Emitted{sandman.Emits[Seen]("user.seen", "1.0")},
//	}
//
//	func created(event sandman.Event[Created], state *Seen, _ sandman.Context) (*sandman.Outcome[Seen], error) {
//		seen := Seen{Times: 1}
//		if state != nil {
//			seen.Times = state.Times + 1
//		}
//		return sandman.Put(seen).Emit("user.seen", "1.0", seen), nil
//	}
//
//	func init() { sandman.Export(handler) }
//
//	func main() {}
//
// A handler is pure: the same trigger, state and context must give the same outcome, to the byte. In the component
// time.Now returns the time of the context, time.Sleep returns immediately, maps are always iterated in the same order, and the
// functions of math/rand and crypto/rand panic with a hint; rand.New with a seeded source works. There are no files,
// no environment and no network. Do not keep data of a call in global variables.
package sandman

import (
	"encoding/json"
	"fmt"
)

// Import is the route, with the method IMPORT, of the requests with which `sandman import` passes documents, as the body, to a handler that
// serves it. No client can send such a request.
const Import = "state"

// Handler is the contract of a handler, and its functions. S is the type of its state documents.
type Handler[S any] struct {
	// Consumes are the events that it consumes.
	Consumes []Consumed[S]
	// Serves are the HTTP routes that it serves.
	Serves []Served[S]
	// Emits are the events that it may publish.
	Emits []Emitted
	// StateVersion is the version of the state format, starting at 0.
	StateVersion uint32
	// StateSchema is the JSON Schema of the state documents; by default SchemaOf of S.
	StateSchema string
}

// Consumed is an event type that a handler consumes, made by [On].
type Consumed[S any] struct {
	// Type is the event type, for example user.created.
	Type string
	// Versions are the payload versions that it reads: 1.0 means 1.0 and every later 1.x; =1.0 means only that version.
	Versions []string
	// Schema is the JSON Schema of the payload: the host rejects events that do not match it. Empty for none.
	Schema string

	run func(wireEvent, *S, Context) (*Outcome[S], error)
}

// On registers the function for an event type. The schema of the payload is SchemaOf of P.
func On[P, S any](
	eventType string,
	versions []string,
	function func(Event[P], *S, Context) (*Outcome[S], error),
) Consumed[S] {
	prepare[P]()
	return Consumed[S]{
		Type:     eventType,
		Versions: versions,
		Schema:   SchemaOf[P](),
		run: func(wire wireEvent, state *S, context Context) (*Outcome[S], error) {
			event, err := readEvent[P](wire)
			if err != nil {
				return nil, err
			}
			return function(event, state, context)
		},
	}
}

// WithSchema sets another JSON Schema for the payload; empty for none.
func (c Consumed[S]) WithSchema(schema string) Consumed[S] {
	c.Schema = schema
	return c
}

// Served is a route that a handler serves, made by [Route].
type Served[S any] struct {
	// Method is the HTTP method, upper case.
	Method string
	// Path is the path pattern, as in the host's configuration.
	Path string

	run func(Request, *S, Context) (*Outcome[S], error)
}

// Route registers the function for a route.
func Route[S any](method, path string, function func(Request, *S, Context) (*Outcome[S], error)) Served[S] {
	return Served[S]{Method: method, Path: path, run: function}
}

// Emitted is an event type and version that a handler publishes, made by [Emits].
type Emitted struct {
	// Type is the event type, for example user.updated.
	Type string
	// Version is the payload version that it writes.
	Version string
	// Schema is the JSON Schema of the payload: the host rejects an outcome that does not match it. Empty for none.
	Schema string
}

// Emits declares that a handler may publish this version of an event type, with SchemaOf of P as the schema.
func Emits[P any](eventType, version string) Emitted {
	prepare[P]()
	return Emitted{Type: eventType, Version: version, Schema: SchemaOf[P]()}
}

// Contract is a handler's contract with the host.
type Contract struct {
	// Consumes has no functions.
	Consumes []ConsumedType
	// Emits are the events that may be published.
	Emits []Emitted
	// Routes are (method, path).
	Routes [][2]string
	// StateVersion is the version of the state format.
	StateVersion uint32
	// StateSchema is the JSON Schema of the state documents; empty for none.
	StateSchema string
}

// ConsumedType is one event type of a [Contract].
type ConsumedType struct {
	// Type is the event type.
	Type string
	// Versions are the payload versions.
	Versions []string
	// Schema is the JSON Schema of the payload; empty for none.
	Schema string
}

// Describe returns the handler's contract.
func (h Handler[S]) Describe() Contract {
	contract := Contract{
		Emits:        h.Emits,
		StateVersion: h.StateVersion,
		StateSchema:  h.StateSchema,
	}
	if contract.StateSchema == "" {
		contract.StateSchema = SchemaOf[S]()
	}
	for _, consumed := range h.Consumes {
		contract.Consumes = append(contract.Consumes, ConsumedType{consumed.Type, consumed.Versions, consumed.Schema})
	}
	for _, served := range h.Serves {
		contract.Routes = append(contract.Routes, [2]string{served.Method, served.Path})
	}
	return contract
}

// Call runs the function for a trigger in the same way as the host, with the payload and the state as JSON text. For the package
// sandmantest and the component.
func (h Handler[S]) Call(trigger Trigger, state *string, context Context) (*Outcome[S], error) {
	document, err := readState[S](state)
	if err != nil {
		return nil, err
	}
	if trigger.Request != nil {
		for _, served := range h.Serves {
			if served.Method == trigger.Request.Method && served.Path == trigger.Request.Route {
				return served.run(*trigger.Request, document, context)
			}
		}
		return nil, Reject(fmt.Sprintf("this handler has no function for %s %s", trigger.Request.Method, trigger.Request.Route))
	}
	for _, consumed := range h.Consumes {
		if consumed.Type == trigger.Event.Type {
			return consumed.run(wireEvent{trigger.Event}, document, context)
		}
	}
	return nil, Reject(fmt.Sprintf("this handler has no function for %s", trigger.Event.Type))
}

// Trigger is the input that a handler is called for: an event or a request.
type Trigger struct {
	// Event is set for an event.
	Event *Event[json.RawMessage]
	// Request is set for a request.
	Request *Request
}
