package sandman_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sandman/sdk/sandmantest"
)

const recordedPayload = `{"displayName": "Ada"}`

func recordedLine(t *testing.T, state *string, outcome string) string {
	t.Helper()
	value := `{"eventId":"e","odd":{"payload":[1,"}\""]},"eventType":"user.created","timestamp":"t","version":"1.0","source":"s","payload": ` + recordedPayload + ` }`
	line, err := json.Marshal(map[string]any{
		"format":  1,
		"id":      "r4-0",
		"handler": "everything",
		"key":     "ada",
		"trigger": map[string]any{"event": map[string]any{"topic": "t", "partition": 0, "offset": 7, "value": value}},
		"state":   state,
		"context": map[string]any{"nowMillis": 5, "attempt": 1, "settings": `{"greeting":"hello"}`},
		"outcome": json.RawMessage(outcome),
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(line)
}

func decided(name string) string {
	return `{"decided":{"state":{"put":"{\"displayName\":\"` + name + `\"}"},"events":[` +
		`{"eventType":"user.greeted","version":"1.0","payload":"{\"at\":5,\"text\":\"hello <Ada>\"}"},` +
		`{"eventType":"user.updated","version":"2.0","payload":"{\"displayName\":\"Ada\"}"}]}}`
}

func TestRecordingsAreRunAndCompared(t *testing.T) {
	before := `{"displayName":"Ada"}`
	text := recordedLine(t, nil, decided("Ada")) + "\n\n" +
		recordedLine(t, &before, `{"failed":{"cause":"retry","reason":"not yet"}}`) + "\n"
	all, err := sandmantest.Recorded(text)
	if err != nil || len(all) != 2 || all[0].ID != "r4-0" || string(all[0].Call.Trigger.Event.Payload) != recordedPayload {
		t.Fatal(all, err)
	}
	for _, recording := range all {
		if err := sandmantest.Check(handler, recording); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatDiffersFromARecordingIsNamed(t *testing.T) {
	before := `{"displayName":"Ada"}`
	for _, one := range []struct{ line, word string }{
		{recordedLine(t, nil, decided("Bea")), "Bea"},
		{recordedLine(t, nil, `{"failed":{"cause":"rejected","reason":"no"}}`), "rejected: no"},
		{recordedLine(t, &before, decided("Ada")), "not yet"},
	} {
		all, err := sandmantest.Recorded(one.line)
		if err != nil {
			t.Fatal(err)
		}
		err = sandmantest.Check(handler, all[0])
		if err == nil || !strings.HasPrefix(err.Error(), "r4-0: recorded is ") || !strings.Contains(err.Error(), one.word) {
			t.Error(err)
		}
	}
}

func TestWhatIsNoRecordingIsNamedByItsLine(t *testing.T) {
	_, err := sandmantest.Recorded(recordedLine(t, nil, decided("Ada")) + "\nx")
	if err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
		t.Error(err)
	}
	_, err = sandmantest.Recorded(strings.Replace(recordedLine(t, nil, decided("Ada")), `"format":1`, `"format":2`, 1))
	if err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Error(err)
	}
}
