"""Recordings as fixtures."""

import json

import pytest
from handler import created
from sandman.recorded import recorded

PAYLOAD = '{"displayName": "Ada", "plan": "paid"}'
STATE = '{"displayName":"Ada","edits":0,"plan":"paid","link":null,"type":"person"}'


def line(outcome, state=None, attempt=1):
    envelope = (
        '{"eventId":"e","odd":{"payload":[1,"}\\""]},"eventType":"user.created","timestamp":"t","version":"1.0",'
        f'"source":"s","payload": {PAYLOAD} }}'
    )
    event = {"topic": "t", "partition": 0, "offset": 7, "value": envelope}
    context = {"nowMillis": 5, "attempt": attempt, "settings": '{"greeting":"hello"}'}
    return json.dumps(
        {
            "format": 1,
            "id": "r4-0",
            "handler": "everything",
            "key": "ada",
            "trigger": {"event": event},
            "state": state,
            "context": context,
            "outcome": outcome,
        }
    )


def decided(state):
    greeted = {"eventType": "user.greeted", "version": "1.0", "payload": '{"text":"hello Ada","at":5}'}
    updated = {"eventType": "user.updated", "version": "2.0", "payload": STATE}
    return {"decided": {"state": {"put": state}, "events": [greeted, updated]}}


def test_a_recording_is_run_and_compared():
    again = {"failed": {"cause": "retry", "reason": "not yet"}}
    first, second = recorded(f"{line(decided(STATE))}\n\n{line(again, STATE)}\n")
    assert (first.id, first.handler, first.call.trigger.payload) == ("r4-0", "everything", PAYLOAD)
    first.check(created)
    second.check()


def test_what_differs_is_named():
    [other] = recorded(line(decided(STATE.replace("Ada", "Bea"))))
    with pytest.raises(AssertionError, match="r4-0: recorded is .*Bea.*, now it is .*Ada"):
        other.check(created)
    [failed] = recorded(line({"failed": {"cause": "rejected", "reason": "no"}}))
    with pytest.raises(AssertionError, match="now it is"):
        failed.check(created)
    [gone] = recorded(line(decided(STATE), STATE))
    with pytest.raises(AssertionError, match="not yet"):
        gone.check(created)


def test_what_is_no_recording_is_named_by_its_line():
    with pytest.raises(ValueError, match="line 2: "):
        recorded(line(decided(STATE)) + "\nx")
    with pytest.raises(ValueError, match="format 2"):
        recorded(line(decided(STATE)).replace('"format": 1', '"format": 2'))
    with pytest.raises(ValueError, match="line 1: there is no 'key'"):
        recorded(line(decided(STATE)).replace('"key"', '"kei"'))
