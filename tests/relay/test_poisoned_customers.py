"""Customers with whom something is always wrong: the others do not notice."""

from __future__ import annotations

import pytest

from logplex_handler._relay.redis_engine import RedisEngine
from tests.logs import wait_until
from tests.relay.chunks import Producer
from tests.relay.servers import PATIENCE
from tests.relay.test_shipper import lines_of, shipping, sums, url_of
from tests.servers import accept, answer, serving


class Streams:
    """Finds URLs, of the poisoned customer those of another receiver, if it has any."""

    def __init__(self, receiver, other):
        self._receiver = receiver
        self._other = other

    def url_for(self, customer):
        match customer:
            case "raises":
                raise RuntimeError("the database is away")
            case "malformed":
                return "https://"
            case "absent":
                return None
            case "poisoned":
                return url_of(self._other, customer)
        return url_of(self._receiver, customer)

    def refresh(self, customer, rejected):
        return self.url_for(customer)


@pytest.mark.parametrize(
    ("customer", "status", "dropped"),
    [
        # Each is looked up again, or tried again, at growing intervals.
        ("raises", 204, {}),
        ("malformed", 204, {}),
        ("poisoned", 401, {}),
        ("poisoned", 400, {}),
        ("poisoned", 500, {}),
        # There is no such customer.
        ("absent", 204, {"unknown_stream": 30}),
    ],
)
def test_a_poisoned_customer_costs_the_others_nothing(server, capsys, customer, status, dropped):
    engine = RedisEngine(server.url)
    with serving(accept) as receiver, serving(answer(status)) as other:
        producer = Producer()
        for number in range(30):
            producer.push(engine, customer, f"bad {number}")
            producer.push(engine, f"good{number}", "first")
        with shipping(server, Streams(receiver, other)):
            assert wait_until(lambda: sums(engine)[0]["delivered"] == 30, PATIENCE)
            for number in range(30):
                producer.push(engine, f"good{number}", "second")
            assert wait_until(lambda: sums(engine)[0]["delivered"] == 60, PATIENCE)
            assert wait_until(lambda: sums(engine)[1] == dropped)
        assert lines_of(receiver) == {f"good{n}": ["first", "second"] for n in range(30)}
    found, _ = sums(engine)
    # Nothing is lost: what is not dropped waits.
    assert found["waiting"] + found["in_flight"] == 30 - sum(dropped.values())
    engine.close()
