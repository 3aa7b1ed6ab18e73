"""The SDK, natively, as a handler's own tests use it."""

import json

import pytest
from handler import Everything, Plan, Profile, created, deleted, odd, renamed
from sandman import Rejected, Retry, schema_of
from sandman._contract import CONTRACT
from sandman._json import load, reader_of
from sandman.testing import Call


def first(payload):
    return Call.event("user.created", "1.0", payload).settings({"greeting": "hello"})


def test_a_contract_holds_what_was_said():
    consumed = CONTRACT.consumes["user.created"]
    assert consumed.versions == ("1.0", "1.1")
    assert CONTRACT.consumes["user.renamed"].versions == ("1.0",)
    assert CONTRACT.consumes["user.renamed"].schema == '{"type":"object"}'
    assert CONTRACT.consumes["user.odd"].schema is None
    assert list(CONTRACT.routes) == [("PUT", "/users/{id}")]
    assert CONTRACT.state_version == 3
    schema = json.loads(CONTRACT.state_schema)
    assert schema["$ref"] == "#/$defs/Profile"
    profile = schema["$defs"]["Profile"]
    assert profile["required"] == ["displayName"]
    assert profile["properties"]["plan"] == {"enum": ["free", "paid"]}
    assert profile["properties"]["link"] == {"anyOf": [{"$ref": "#/$defs/Profile"}, {"type": "null"}]}
    assert "type" in profile["properties"]


def test_an_event_becomes_state_and_events_in_order():
    call = first({"displayName": "Ada", "plan": "paid", "unknown": 1, "type": "robot"}).now_millis(5)
    call.trigger.metadata = {"trace": "t1"}
    outcome = call.run(created)
    assert outcome.state == Profile("Ada", plan=Plan.PAID, kind="robot")
    assert [event.event_type for event in outcome.events] == ["user.greeted", "user.updated"]
    assert outcome.events[0].payload == {"text": "hello Ada", "at": 5}
    assert outcome.events[0].key == "greetings"
    assert outcome.events[0].metadata == {"trace": "t1"}
    expected = {"displayName": "Ada", "edits": 0, "plan": "paid", "link": None, "type": "robot"}
    assert outcome.events[1].payload == expected


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (first({"name": 1}), "user.created 1.0: payload: missing field `displayName`"),
        (first({"displayName": ["Ada"]}), "user.created 1.0: payload.displayName: expected string, found array"),
        (first(["Ada"]), "user.created 1.0: payload: expected object, found array"),
        (first({"displayName": "Ada", "edits": True}), "user.created 1.0: payload.edits: expected integer, found boolean"),
        (first({"displayName": "Ada", "plan": "secret"}), "user.created 1.0: payload.plan: expected one of 'free', 'paid'"),
        (
            first({"displayName": "Ada", "link": {"displayName": 1}}),
            "user.created 1.0: payload.link.displayName: expected string, found integer",
        ),
        (first({"displayName": "Ada"}).settings({"greeting": 1}), "settings.greeting: expected string, found integer"),
        (first({"displayName": "Ada"}).state({"displayName": 7}), "state.displayName: expected string, found integer"),
    ],
)
def test_whatever_does_not_fit_is_rejected_by_its_name(call, reason):
    with pytest.raises(Rejected) as refused:
        call.run(created)
    assert refused.value.reason == reason


def test_a_failure_that_may_pass_is_to_be_retried():
    call = first({"displayName": "Ada"}).state({"displayName": "Ada"})
    with pytest.raises(Retry, match="not yet"):
        call.run(created)
    call = first({"displayName": "Ada"}).state({"displayName": "Ada"}).attempt(2)
    assert call.run().change == "put"


def test_a_state_can_go_and_a_failure_may_be_returned():
    assert Call.event("user.deleted", "1.0", None).run(deleted).change == "remove"
    with pytest.raises(Rejected, match="never"):
        Call.event("user.deleted", "1.0", "never").run(deleted)


def test_a_typed_dict_keeps_what_it_does_not_know():
    outcome = Call.event("user.renamed", "1.0", {"name": "Ada", "more": 1}).state([1]).run(renamed)
    assert outcome.state == {"name": "Ada", "more": 1, "was": [1]}
    with pytest.raises(Rejected, match=r"payload\.tags\[0\]: expected string"):
        Call.event("user.renamed", "1.0", {"name": "Ada", "tags": [1]}).run(renamed)


def test_a_request_is_answered():
    def request():
        return Call.request("PUT", "/users/{id}", params={"id": "u1"}).claims({"userId": "u1"})

    outcome = request().body({"displayName": "Eve"}).state({"displayName": "Ada", "edits": 4}).run()
    assert outcome.reply.status == 200
    assert outcome.state.edits == 5
    assert Call.request("PUT", "/users/{id}", params={"id": "u2"}).claims({"userId": "u1"}).run().reply.status == 403
    dry = Call.request("PUT", "/users/{id}", params={"id": "u1"}, query={"dry": "yes"}).claims({"userId": "u1"})
    assert not dry.run().reply.has_body
    for call, reason in [
        (request(), "PUT /users/{id}: the body is empty"),
        (Call.request("PUT", "/users/{id}"), "PUT /users/{id}: there is no token"),
    ]:
        with pytest.raises(Rejected) as refused:
            call.run()
        assert refused.value.reason == reason


def test_what_cannot_be_an_outcome_is_refused():
    for payload, reason in [
        ("nan", "the state cannot be JSON"),
        ("unknown", "does not say that it emits user.unknown 1.0"),
    ]:
        with pytest.raises(Rejected, match=reason):
            Call.event("user.odd", "1.0", payload).run(odd)
    with pytest.raises(TypeError, match="not int"):
        Call.event("user.odd", "1.0", "number").run(odd)


@pytest.mark.parametrize("value", [2**60 + 1, -(2**70), 117.63331139400017, "half \ud800", "\u00e4\U0001f600", [{}]])
def test_a_value_is_put_as_it_was_read(value):
    assert Call.event("user.odd", "1.0", value).run(odd).state == value


def test_every_annotation_is_read_and_has_a_schema():
    read = reader_of(Everything)
    text = '{"literal":"a","pair":[1,"x"],"numbers":[1,2.5],"by_name":{"a":1},"either":"x"}'
    assert load(text, read, "it") == Everything("a", (1, "x"), [1, 2.5], {"a": 1}, "x")
    for text, reason in [
        ('{"literal":"b","pair":[1,"x"]}', "it.literal: expected one of 'a', 1"),
        ('{"literal":"a","pair":[1]}', "it.pair: expected array of 2, found array"),
        ('{"literal":"a","pair":[1,"x"],"by_name":{"a":"b"}}', "it.by_name.a: expected integer, found string"),
        ('{"literal":"a","pair":[1,"x"],"either":[]}', "it.either: expected int or str, found array"),
    ]:
        with pytest.raises(Rejected) as refused:
            load(text, read, "it")
        assert refused.value.reason == reason
    schema = schema_of(Everything)
    assert schema["properties"]["pair"]["prefixItems"] == [{"type": "integer"}, {"type": "string"}]
    assert schema["properties"]["either"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert schema["required"] == ["literal", "pair"]
