// Package sandman is what a Sandman handler in Go depends on.
//
// A handler is plain functions, one for each event type and route, and a [Handler] that names them. [Export] makes them a
// component; natively they stay plain functions, tested with go test and the package sandmantest, without WebAssembly,
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
// time.Now is the time of the context, time.Sleep takes no time, maps are always gone through in the same order, and the
// functions of math/rand and crypto/rand panic with a hint; rand.New with a source that you seed works. There are no files,
// no environment and no network. Keep nothing in a global variable that a call changes.
package sandman

import (
	"encoding/json"
	"fmt"
)

// Import is the route, with the method IMPORT, with which `sandman import` hands a document, the body, to a handler that
// serves it. No client can send it.
const Import = "state"

// Handler is what a handler says of itself, and its functions. S is the type of its state documents.
type Handler[S any] struct {
	// Consumes are the events that it understands.
	Consumes []Consumed[S]
	// Serves are the HTTP routes that it serves.
	Serves []Served[S]
	// Emits are the events that it may publish.
	Emits []Emitted
	// StateVersion is the version of the format of the state documents, from 0.
	StateVersion uint32
	// StateSchema is the JSON Schema of the state documents; what SchemaOf makes of S if left out.
	StateSchema string
}

// Consumed is an event type that a handler consumes, made by [On].
type Consumed[S any] struct {
	// Type is the event type, for example user.created.
	Type string
	// Versions are the payload versions that it reads: 1.0 is that and every later 1.x, =1.0 is that alone.
	Versions []string
	// Schema is the JSON Schema of the payload: the host turns away what does not fit. Empty for none.
	Schema string

	run func(wireEvent, *S, Context) (*Outcome[S], error)
}

// On names the function for an event type. The payload's schema is what SchemaOf makes of P.
func On[P, S any](
	eventType string,
	versions []string,
	function func(Event[P], *S, Context) (*Outcome[S], error),
) Consumed[S] {
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

// WithSchema is the same with another JSON Schema of the payload; an empty one for none.
func (c Consumed[S]) WithSchema(schema string) Consumed[S] {
	c.Schema = schema
	return c
}

// Served is a route that a handler serves, made by [Route].
type Served[S any] struct {
	// Method is the HTTP method, upper case.
	Method string
	// Path is the path's pattern, as in the host's configuration.
	Path string

	run func(Request, *S, Context) (*Outcome[S], error)
}

// Route names the function for a route.
func Route[S any](method, path string, function func(Request, *S, Context) (*Outcome[S], error)) Served[S] {
	return Served[S]{Method: method, Path: path, run: function}
}

// Emitted is an event type and version that a handler publishes, made by [Emits].
type Emitted struct {
	// Type is the event type, for example user.updated.
	Type string
	// Version is the payload version that it writes.
	Version string
	// Schema is the JSON Schema of the payload: the host refuses an outcome that does not fit. Empty for none.
	Schema string
}

// Emits says that a handler may publish this event type in this version, with what SchemaOf makes of P as the schema.
func Emits[P any](eventType, version string) Emitted {
	return Emitted{Type: eventType, Version: version, Schema: SchemaOf[P]()}
}

// Contract is what a handler says of itself to the host.
type Contract struct {
	// Consumes has no functions.
	Consumes []ConsumedType
	// Emits is what may be published.
	Emits []Emitted
	// Routes are (method, path).
	Routes [][2]string
	// StateVersion is the version of the format of the state documents.
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

// Describe is the handler's contract.
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

// Call runs the function for a trigger as the host does: the payload and the state come as JSON text. For the package
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

// Trigger is what calls a handler: an event or a request.
type Trigger struct {
	// Event is set where an event calls.
	Event *Event[json.RawMessage]
	// Request is set where a request calls.
	Request *Request
}
