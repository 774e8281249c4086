"""gevent and eventlet with everything patched."""

from __future__ import annotations

import time

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.runtimes.shared import PATCHES, setting_up, texts
from tests.servers import serving


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("library", PATCHES)
def test_greenlets_deliver_while_others_run(run, library):
    """Beside a request that takes long the other greenlets go on, and nothing is lost."""
    slow = 0.5

    def answer(connection):
        time.sleep(slow)
        connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")

    with serving(answer) as server:
        done = run(
            server.url,
            PATCHES[library],
            setting_up(0.01),
            """
            longest = [0.0]
            def work(name):
                for number in range(100):
                    log.info("%s %d", name, number)
                    slept_at = time.monotonic()
                    time.sleep(0.005)
                    longest[0] = max(longest[0], time.monotonic() - slept_at)
            greenlets = [threading.Thread(target=work, args=(n,)) for n in range(5)]
            for greenlet in greenlets: greenlet.start()
            for greenlet in greenlets: greenlet.join()
            assert handler.flush(100)
            print(longest[0])
            """,
        )
        lines = server.frames()
    # Each of the requests would have held them up for so long.
    assert float(done.stdout) < slow
    for name in range(5):
        own = [line for line in lines if line.startswith(b"%d " % name)]
        assert own == [b"%d %d" % (name, number) for number in range(100)]


@pytest.mark.parametrize("library", PATCHES)
def test_a_greenlet_that_lives_on_in_a_forked_child_delivers_nothing_there(run, library):
    """It would send the parent's records a second time."""
    with LogplexReceiver() as logplex:
        run(
            logplex.url,
            PATCHES[library],
            setting_up(0.3),
            """
            log.info("parent")
            time.sleep(0.05)
            pid = os.fork()
            if pid == 0:
                log.info("child")
                time.sleep(1)
                handler.close()
                os._exit(0)
            time.sleep(1.5)
            assert os.waitpid(pid, 0)[1] == 0
            """,
        )
        lines = texts(logplex)
    assert sorted(lines) == ["child", "parent"]
