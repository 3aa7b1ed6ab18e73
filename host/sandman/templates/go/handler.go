// Counts how often a user was seen.
//
// A handler is a pure function: an event and the state of its key go in, a new state and new events come out. It sees no
// clock, no network and no disk, so the same input always gives the same outcome.
package main

import sandman "sandman/sdk"

// Created is the payload of the event that comes in.
type Created struct {
	UserID string `json:"userId"`
}

// UserSeen is the payload of the event that goes out.
type UserSeen struct {
	UserID string `json:"userId"`
	Times  uint64 `json:"times"`
}

// Seen is the state: one document for each key.
type Seen struct {
	Times uint64 `json:"times"`
}

// What comes in and what may go out; the host holds it against sandman.toml.
var handler = sandman.Handler[Seen]{
	Consumes: []sandman.Consumed[Seen]{
		sandman.On("user.created", []string{"1.0"}, created),
	},
	Emits: []sandman.Emitted{
		sandman.Emits[UserSeen]("user.seen", "1.0"),
	},
}

func created(event sandman.Event[Created], state *Seen, _ sandman.Context) (*sandman.Outcome[Seen], error) {
	seen := Seen{Times: 1}
	if state != nil {
		seen.Times = state.Times + 1
	}
	sandman.Info("seen %d times", seen.Times)
	return sandman.Put(seen).Emit("user.seen", "1.0", UserSeen{event.Payload.UserID, seen.Times}), nil
}

func init() { sandman.Export(handler) }

// Never called: the host calls the handler.
func main() {}
