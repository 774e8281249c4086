"""The circuit breakers of hosts, which all streams share."""

from __future__ import annotations

import gc
import threading

from logplex_handler._sender import circuit_breaker
from logplex_handler._sender.circuit_breaker import CircuitBreaker, CircuitBreakers

# Seconds, so many that only what hangs takes them.
PATIENCE = 100


def test_a_host_has_one_as_long_as_anybody_uses_it():
    breakers = CircuitBreakers()
    one, other = breakers["a"], breakers["b"]
    assert one is not other
    assert breakers["a"] is one
    one.answers = 7
    del one
    gc.collect()
    assert breakers["a"].answers == 0
    assert breakers["b"] is other
    del other
    gc.collect()
    assert not breakers._references


def test_threads_that_find_a_host_at_the_same_time_share_one():
    breakers = CircuitBreakers()
    together = threading.Barrier(8)
    found = []

    def look_up():
        for number in range(100):
            together.wait(PATIENCE)
            found.append(breakers[f"{number}"])

    threads = [threading.Thread(target=look_up) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len({id(one) for one in found}) == 100


def test_one_that_another_thread_finds_as_its_predecessor_is_forgotten_stays():
    """Otherwise, its host would have two."""
    breakers = CircuitBreakers()
    found = breakers["a"]
    breakers._forget("a")
    assert breakers["a"] is found


def test_a_garbage_collection_that_logs_meanwhile_holds_nobody_up(monkeypatch):
    """It needs the registry's lock, under which another thread asks for a circuit breaker."""
    breakers = CircuitBreakers()
    registry = threading.RLock()
    is_within, is_done = threading.Event(), threading.Event()

    class Collecting(CircuitBreaker):
        def __init__(self):
            super().__init__()
            if threading.current_thread() is collecting:
                is_within.set()
                with registry:
                    pass

    def open_stream():
        with registry:
            collecting.start()
            if is_within.wait(PATIENCE) and breakers["b"]:
                is_done.set()

    monkeypatch.setattr(circuit_breaker, "CircuitBreaker", Collecting)
    collecting = threading.Thread(target=lambda: breakers["a"], daemon=True)
    opening = threading.Thread(target=open_stream, daemon=True)
    opening.start()
    assert is_done.wait(PATIENCE)
    opening.join(PATIENCE)
    collecting.join(PATIENCE)
