"""What the package marks while it calls other code holds for the call, not for what outlives it."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading

import pytest

from logplex_handler._process.contexts import CallVar, in_empty_context, new_thread

of_a_request: contextvars.ContextVar[str | None] = contextvars.ContextVar("request", default=None)


def in_thread(function, start=None):
    """What the function returns in a thread that is started here."""
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


@pytest.fixture
def var():
    return CallVar("test")


def test_a_value_holds_during_the_call_alone(var):
    """Also if it ends by an exception; calls may be nested."""
    assert var.get() is None
    with var.set(1):
        with pytest.raises(ZeroDivisionError), var.set(2):
            divmod(var.get(), 0)
        assert var.get() == 1
    assert var.get() is None


@pytest.mark.usefixtures("threads_inherit")
def test_no_thread_that_is_started_meanwhile_has_the_value(var):
    """Not during the call, and not after it."""
    gone_on = threading.Event()

    def later():
        gone_on.wait(100)
        return var.get()

    found = []
    with var.set(1):
        assert in_thread(var.get) is None
        thread = threading.Thread(target=lambda: found.append(later()))
        thread.start()
    gone_on.set()
    thread.join()
    assert found == [None]


def test_no_task_that_outlives_the_call_has_the_value(var):
    """Tasks and callbacks of asyncio run in copies of the context."""

    async def main():
        found = []
        with var.set(1):
            task = asyncio.create_task(asyncio.to_thread(var.get))
            asyncio.get_running_loop().call_soon(lambda: found.append(var.get()))
        return [await task, *found]

    assert asyncio.run(main()) == [None, None]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_child_is_not_in_the_call_of_its_parent(var):
    with var.set(1):
        pid = os.fork()
        if not pid:
            os._exit(0 if var.get() is None else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert var.get() == 1


@pytest.mark.usefixtures("threads_inherit")
def test_threads_of_the_package_know_nothing_of_their_starter():
    found = []
    token = of_a_request.set("r1")
    try:
        thread = new_thread(lambda: found.append(of_a_request.get()), "test")
        thread.start()
        thread.join()
        assert in_thread(of_a_request.get) == "r1"
    finally:
        of_a_request.reset(token)
    assert found == [None]


def test_a_call_in_an_empty_context_returns_and_raises_as_any_other():
    token = of_a_request.set("r1")
    try:
        assert in_empty_context(of_a_request.get, "nothing") == "nothing"
        with pytest.raises(ZeroDivisionError):
            in_empty_context(divmod, 1, 0)
    finally:
        of_a_request.reset(token)
