package sandman_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	sandman "sandman/sdk"
	"sandman/sdk/sandmantest"
)

type Profile struct {
	DisplayName string   `json:"displayName"`
	Edits       uint32   `json:"edits,omitempty"`
	Link        *Profile `json:"link,omitempty"`
	Any         any      `json:"any,omitempty"`
}

var handler = sandman.Handler[Profile]{
	Consumes: []sandman.Consumed[Profile]{
		sandman.On("user.created", []string{"1.0", "1.1"}, created),
		sandman.On("user.deleted", []string{"1.0"}, deleted).WithSchema(""),
	},
	Serves: []sandman.Served[Profile]{sandman.Route("PUT", "/users/{id}", update)},
	Emits: []sandman.Emitted{
		sandman.Emits[map[string]any]("user.greeted", "1.0"),
		sandman.Emits[Profile]("user.updated", "2.0"),
	},
	StateVersion: 3,
}

func created(event sandman.Event[Profile], state *Profile, context sandman.Context) (*sandman.Outcome[Profile], error) {
	if context.Attempt < 2 && state != nil {
		return nil, sandman.Retry("not yet")
	}
	var settings struct {
		Greeting string `json:"greeting"`
	}
	if err := context.ReadSettings(&settings); err != nil {
		return nil, err
	}
	text := map[string]any{"text": settings.Greeting + " <" + event.Payload.DisplayName + ">", "at": context.NowMillis}
	greeted := sandman.Emission{Type: "user.greeted", Version: "1.0", Payload: text, Key: "greetings", Metadata: event.Metadata}
	return sandman.Put(event.Payload).EmitEvent(greeted).Emit("user.updated", "2.0", event.Payload), nil
}

func deleted(event sandman.Event[string], _ *Profile, _ sandman.Context) (*sandman.Outcome[Profile], error) {
	switch event.Payload {
	case "never":
		return nil, sandman.Reject("never")
	case "unknown":
		return sandman.Keep[Profile]().Emit("user.unknown", "1.0", 1), nil
	case "channel":
		return sandman.Keep[Profile]().Emit("user.greeted", "1.0", make(chan int)), nil
	case "nothing":
		return nil, nil
	}
	return sandman.Remove[Profile](), nil
}

func update(request sandman.Request, state *Profile, _ sandman.Context) (*sandman.Outcome[Profile], error) {
	var claims struct {
		UserID string `json:"userId"`
	}
	if err := request.ReadClaims(&claims); err != nil {
		return nil, err
	}
	if claims.UserID != request.Param("id") {
		return sandman.Reply[Profile](403, map[string]string{"error": "not yours"}), nil
	}
	if request.Query("dry") == "yes" {
		return sandman.Keep[Profile]().ReplyEmpty(204), nil
	}
	var profile Profile
	if err := request.ReadBody(&profile); err != nil {
		return nil, err
	}
	if state != nil {
		profile.Edits = state.Edits
	}
	profile.Edits++
	return sandman.Put(profile).Reply(200, profile), nil
}

func first(payload any) *sandmantest.Call {
	return sandmantest.Event("user.created", "1.0", payload).Settings(map[string]string{"greeting": "hello"})
}

func is[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func run(t *testing.T, call *sandmantest.Call) *sandman.Outcome[Profile] {
	t.Helper()
	outcome, err := sandmantest.Run(handler, call)
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

func TestAContractHoldsWhatWasSaid(t *testing.T) {
	contract := handler.Describe()
	is(t, strings.Join(contract.Consumes[0].Versions, " "), "1.0 1.1")
	is(t, contract.Consumes[1].Schema, "")
	is(t, contract.Routes[0], [2]string{"PUT", "/users/{id}"})
	is(t, contract.StateVersion, 3)
	is(t, contract.StateSchema, `{"$defs":{"sandman_test.Profile":{"properties":{"any":true,"displayName":{"type":"string"},`+
		`"edits":{"minimum":0,"type":"integer"},"link":{"anyOf":[{"$ref":"#/$defs/sandman_test.Profile"},{"type":"null"}]}},`+
		`"required":["displayName"],"type":"object"}},"$ref":"#/$defs/sandman_test.Profile"}`)
	is(t, sandman.SchemaOf[struct {
		Tags []string        `json:"tags"`
		ID   int             `json:"id,string"`
		Raw  json.RawMessage `json:"raw,omitempty"`
		Skip int             `json:"-"`
	}](), `{"properties":{"id":{"type":"string"},"raw":true,"tags":{"items":{"type":"string"},"type":["array","null"]}},`+
		`"required":["tags","id"],"type":"object"}`)
}

func TestAnEventBecomesStateAndEventsInOrder(t *testing.T) {
	call := first(map[string]any{"displayName": "Ada", "unknown": 1}).NowMillis(5)
	call.Trigger.Event.Metadata = json.RawMessage(`{"trace":"t1"}`)
	outcome := run(t, call)
	is(t, outcome.State.Put.DisplayName, "Ada")
	is(t, string(outcome.Events[0].Payload.(json.RawMessage)), `{"at":5,"text":"hello <Ada>"}`)
	is(t, outcome.Events[0].Key, "greetings")
	is(t, sandmantest.Payload[Profile](outcome, 1).DisplayName, "Ada")
	written, err := outcome.Write()
	is(t, err, nil)
	is(t, *written.Events[0].Metadata, `{"trace":"t1"}`)
}

func TestWhateverDoesNotFitIsRejectedByItsName(t *testing.T) {
	ada := map[string]any{"displayName": "Ada"}
	for reason, call := range map[string]*sandmantest.Call{
		"user.created 1.0: payload.displayName: expected string, found array":   first(map[string]any{"displayName": []int{1}}),
		"user.created 1.0: payload: expected sandman_test.Profile, found array": first([]int{1}),
		"user.created 1.0: payload.link.edits: expected uint32, found number":   first(map[string]any{"link": map[string]any{"edits": -300}}),
		"settings.greeting: expected string, found number":                      first(ada).Settings(map[string]any{"greeting": 1}),
		"state.displayName: expected string, found number":                      first(ada).State(map[string]any{"displayName": 7}),
		"never": sandmantest.Event("user.deleted", "1.0", "never"),
		"the handler does not say that it emits user.unknown 1.0":                      sandmantest.Event("user.deleted", "1.0", "unknown"),
		"the payload of user.greeted cannot be JSON: json: unsupported type: chan int": sandmantest.Event("user.deleted", "1.0", "channel"),
		"PUT /users/{id}: there is no token":                                           sandmantest.Request("PUT", "/users/{id}"),
		"PUT /users/{id}: the body is empty":                                           sandmantest.Request("PUT", "/users/{id}").Claims(map[string]string{"userId": ""}),
		"this handler has no function for user.lost":                                   sandmantest.Event("user.lost", "1.0", 1),
	} {
		_, err := sandmantest.Run(handler, call)
		var failure *sandman.Failure
		if !errors.As(err, &failure) || failure.Reason != reason || failure.Retry {
			t.Errorf("got %v, want %s", err, reason)
		}
	}
}

func TestAFailureThatMayPassIsToBeRetried(t *testing.T) {
	ada := map[string]any{"displayName": "Ada"}
	_, err := sandmantest.Run(handler, first(ada).State(ada))
	var failure *sandman.Failure
	is(t, errors.As(err, &failure) && failure.Retry, true)
	is(t, run(t, first(ada).State(ada).Attempt(2)).State.Put.DisplayName, "Ada")
}

func TestAStateCanGoOrStay(t *testing.T) {
	is(t, run(t, sandmantest.Event("user.deleted", "1.0", "")).State.Removed, true)
	kept := run(t, sandmantest.Event("user.deleted", "1.0", "nothing"))
	is(t, kept.State.Put == nil && !kept.State.Removed, true)
}

func TestARequestIsAnswered(t *testing.T) {
	request := func() *sandmantest.Call {
		return sandmantest.Request("PUT", "/users/{id}").Param("id", "u1").Claims(map[string]string{"userId": "u1"})
	}
	outcome := run(t, request().Body(Profile{DisplayName: "Eve"}).State(Profile{Edits: 4}))
	is(t, outcome.Answer.Status, 200)
	is(t, outcome.State.Put.Edits, 5)
	is(t, run(t, request().Query("dry", "yes")).Answer.HasBody, false)
	is(t, run(t, sandmantest.Request("PUT", "/users/{id}").Param("id", "u2").Claims(map[string]string{"userId": "u1"})).Answer.Status, 403)
}

func TestNumbersKeepTheirDigits(t *testing.T) {
	call := first(json.RawMessage(`{"displayName":"é\u2028","any":[1152921504606846977,12345678901234567890123,117.63331139400017]}`))
	written, err := run(t, call).Write()
	is(t, err, nil)
	is(t, *written.State, `{"displayName":"é\u2028","any":[1152921504606846977,12345678901234567890123,117.63331139400017]}`)
}
