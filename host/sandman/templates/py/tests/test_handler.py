"""The handler as a plain function: no WebAssembly, no Kafka, no host."""

import pytest
from handler import Seen, created
from sandman import Rejected
from sandman.testing import Call


def test_a_user_is_counted_and_that_is_told():
    call = Call.event("user.created", "1.0", {"userId": "u-1"})
    outcome = call.state(Seen(times=1)).run(created)
    assert outcome.state == Seen(times=2)
    assert outcome.events[0].payload == {"userId": "u-1", "times": 2}


def test_an_event_without_a_user_is_rejected():
    with pytest.raises(Rejected, match="missing field `userId`"):
        Call.event("user.created", "1.0", {}).run(created)
