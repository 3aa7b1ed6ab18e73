package main

import (
	"testing"

	"sandman/sdk/sandmantest"
)

// The handler as a plain function: no WebAssembly, no Kafka, no host.
func TestAUserIsCountedAndThatIsTold(t *testing.T) {
	call := sandmantest.Event("user.created", "1.0", Created{UserID: "u-1"}).State(Seen{Times: 1})
	outcome, err := sandmantest.Run(handler, call)
	if err != nil {
		t.Fatal(err)
	}
	if got := *outcome.State.Put; got != (Seen{Times: 2}) {
		t.Errorf("the state is %+v", got)
	}
	if got := sandmantest.Payload[UserSeen](outcome, 0); got != (UserSeen{"u-1", 2}) {
		t.Errorf("the event is %+v", got)
	}
}

func TestAUserThatIsNoTextIsRejected(t *testing.T) {
	call := sandmantest.Event("user.created", "1.0", map[string]int{"userId": 1})
	_, err := sandmantest.Run(handler, call)
	if err == nil || err.Error() != "user.created 1.0: payload.userId: expected string, found number" {
		t.Errorf("the error is %v", err)
	}
}
