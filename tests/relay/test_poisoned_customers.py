"""Customers with whom something is always wrong: the others do not notice."""

from __future__ import annotations

import pytest

from logplex_handler._delivery import exchange
from logplex_handler._relay.redis_engine import RedisEngine
from tests.logs import wait_until
from tests.relay.chunks import Producer
from tests.relay.servers import PATIENCE
from tests.relay.test_shipper import lines_of, shipping, sums, url_of
from tests.servers import accept, answer, refusing, serving


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


def test_a_line_that_a_firewall_refuses_is_found_although_its_batch_is_put_back(server):
    """What its tries have shown is known when it is taken again: then a probe is due."""
    engine = RedisEngine(server.url)
    with serving(accept) as receiver:
        receiver.steps[:] = [refusing(b"bad", 403)(receiver)]
        Producer().push(engine, "acme", "first", "bad", "last")
        with shipping(server, lambda customer: url_of(receiver, customer)):
            assert wait_until(lambda: sums(engine)[1] == {"refused": 1}, PATIENCE)
            assert wait_until(lambda: sums(engine)[0]["delivered"] == 2, PATIENCE)
    engine.close()


def test_drops_are_told_once_although_what_follows_is_put_back(server, monkeypatch):
    """The notice is accepted, and the lines are not, until they have been put back."""
    monkeypatch.setattr(exchange, "_SOON", 0.1)
    engine = RedisEngine(server.url, max_stream_bytes=1)
    with serving(accept) as receiver:
        producer = Producer()
        for number in range(5):
            producer.push(engine, "acme", f"line {number}")
        assert sums(engine)[1] == {"relay_full": 4}
        refusals = iter(range(2))

        def step(connection):
            is_refused = (
                b"line" in receiver.current.request.body and next(refusals, None) is not None
            )
            (answer(503) if is_refused else accept)(connection)

        receiver.steps[:] = [step]
        with shipping(server, lambda customer: url_of(receiver, customer)):
            assert wait_until(lambda: sums(engine)[0]["delivered"] == 1, PATIENCE)
        notices = [text for text in receiver.frames() if b"logplex_handler.dropped=4" in text]
        assert len(notices) == 1
    engine.close()
