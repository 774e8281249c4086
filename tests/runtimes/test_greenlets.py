"""gevent and eventlet with everything patched."""

from __future__ import annotations

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.logs import wait_until
from tests.runtimes.shared import PATCHES, setting_up, texts
from tests.servers import accept, serving


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("library", PATCHES)
def test_greenlets_deliver_while_others_run(run, library, tmp_path):
    """While a request waits for its answer the other greenlets go on, and nothing is lost."""
    asked, worked = tmp_path / "asked", tmp_path / "worked"
    went_on = []

    def answer(connection):
        asked.touch()
        went_on.append(wait_until(worked.exists))
        accept(connection)

    with serving(answer) as server:
        run(
            server.url,
            PATCHES[library],
            setting_up(0.01, timeout=100),
            f"from pathlib import Path; asked, worked = map(Path, {[str(asked), str(worked)]})",
            """
            def work(name):
                log.info("%s 0", name)
                while not asked.exists():
                    time.sleep(0.005)
                for number in range(1, 100):
                    log.info("%s %d", name, number)
                    time.sleep(0.001)
            greenlets = [threading.Thread(target=work, args=(n,)) for n in range(5)]
            for greenlet in greenlets: greenlet.start()
            for greenlet in greenlets: greenlet.join()
            worked.touch()
            assert handler.flush(100)
            """,
        )
        lines = server.frames()
    assert went_on
    assert all(went_on)
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
