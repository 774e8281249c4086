"""asyncio, uvloop and subinterpreters."""

from __future__ import annotations

import sys

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.runtimes.shared import setting_up, texts
from tests.servers import hang, serving


@pytest.mark.skipif(sys.platform == "win32", reason="there is no uvloop")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_event_loop_does_not_wait_for_the_network(run, loop):
    """Tasks log while the receiver does not answer; a receiver that does gets every line."""
    body = f"""
        import asyncio, {loop}
        longest = 0.0
        async def work(name):
            global longest
            for number in range(50):
                called_at = time.monotonic()
                log.info("%d %d", name, number)
                longest = max(longest, time.monotonic() - called_at)
                await asyncio.sleep(0.002)
        async def main():
            await asyncio.gather(*(work(name) for name in range(8)))
        {loop}.run(main())
        print(longest)
    """
    with serving(hang) as server:
        done = run(server.url, setting_up(0.01, timeout=100, shutdown_timeout=0.1), body)
    # A request would have held up its caller for twice as long.
    assert float(done.stdout) < 50
    with LogplexReceiver() as logplex:
        run(logplex.url, setting_up(0.01), body, forked=True)
        lines = texts(logplex)
    assert sorted(lines) == sorted(f"{name} {number}" for name in range(8) for number in range(50))


def test_a_subinterpreter_delivers_like_any_other(run):
    """Where it may have no thread that outlives its main one, as of Python 3.12, at `flush`.

    Where it may have one, none outlives `close`: otherwise Python would end the whole process.
    """
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            import os, sys, warnings
            warnings.simplefilter("ignore")
            try:
                import _interpreters as interpreters
                made = [interpreters.create(), interpreters.create("legacy")]
            except ImportError:
                import _xxsubinterpreters as interpreters
                made = [interpreters.create()]
            """,
            f"program = {setting_up()!r}",
            """
            program += '''
            from logplex_handler._process import contexts
            contexts._MOMENT = 100.0
            for number in range(50):
                log.info("line %d", number)
            metrics = Metrics(log)
            metrics.count("a")
            metrics.close()
            assert handler.flush()
            with logging._lock:
                handler.close()
            log.info("too late")
            assert handler.stats().dropped == {"closed": 1}
            '''.replace("\\n            ", "\\n")
            for one in made:
                failure = interpreters.run_string(
                    one, f"import sys; sys.path[:] = {sys.path}" + program
                )
                if len(made) > 1:
                    interpreters.destroy(one)
                print("failed" if failure else "ended", flush=True)
            # Before Python 3.13, the end of an interpreter is not what this is about.
            os._exit(0)
            """,
        )
        lines = texts(logplex)
    assert {*done.stdout.split()} == {"ended"}
    expected = [*[f"line {number}" for number in range(50)], "count#a=1"]
    assert lines == expected * len(done.stdout.split())
    assert "internal error" not in done.stderr
