"""Where SIGPIPE has its default, as `program | head` wants it, a closed connection ends nothing."""

import signal

import pytest

from tests.process.shared import run_forked
from tests.servers import TOKEN

PROGRAM = """
    import requests, signal, socket
    from logplex_handler._process import sigpipe

    def write_to_a_closed_one():
        one, other = socket.socketpair()
        other.close()
        one.sendall(b"x")

    class Broken(requests.adapters.BaseAdapter):
        def send(self, request, **options):
            write_to_a_closed_one()

        def close(self):
            pass

    def session():
        session = requests.Session()
        session.mount("http://", Broken())
        return session

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    handler = LogplexHandler(session_factory=session, shutdown_timeout=0.1)
    logger.addHandler(handler)
    logger.info("line")
    while not handler.stats().requests:
        handler.flush(0.1)
    handler.close()
    assert sigpipe.is_fatal()
    # Greenlets share one thread: the block of one ends while another is in its own.
    one, other = sigpipe.held_back(), sigpipe.held_back()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    try:
        write_to_a_closed_one()
    except BrokenPipeError:
        other.__exit__(None, None, None)
        assert not signal.pthread_sigmask(signal.SIG_BLOCK, ())
        print(handler.stats().dropped)
"""


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="macOS has no such call")
def test_a_connection_that_is_closed_is_an_error_and_not_the_end():
    """Neither in a worker nor in a caller that delivers, who gets the signals back."""
    done = run_forked(f"http://token:{TOKEN}@127.0.0.1:1/logs", PROGRAM, shutdown_timeout=0.1)
    assert (done.returncode, done.stdout) == (0, "{'shutdown': 1}\n"), done.stderr
