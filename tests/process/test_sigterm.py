"""`flush_on_sigterm` delivers first, then leaves SIGTERM to its previous handler."""

import signal

from logplex_handler.testing import LogplexReceiver
from tests.pace import stopwatch
from tests.process.shared import run
from tests.servers import hang, serving

SIGTERM_SELF = """
import signal, time
from logplex_handler import flush_on_sigterm
{before}
flush_on_sigterm()
flush_on_sigterm()
logger.info("line")
os.kill(os.getpid(), signal.SIGTERM)
{after}
"""


def test_without_asking_sigterm_ends_a_program_at_once():
    """No signal handler is installed by itself."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            "import signal; logger.info('line'); os.kill(os.getpid(), signal.SIGTERM)",
        )
        assert done.returncode == -signal.SIGTERM
        assert not logplex.lines


def test_sigterm_delivers_first_when_asked():
    """Then the process dies of the signal, as its sender expects."""
    with LogplexReceiver() as logplex:
        done = run(logplex.url, SIGTERM_SELF.format(before="", after="time.sleep(10)"))
        assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
        assert [line.text for line in logplex.lines] == ["line"]


def test_sigterm_goes_on_to_who_listened_before():
    """An application's own handler is called after the delivery."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            SIGTERM_SELF.format(
                before="signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(7))",
                after="time.sleep(10)",
            ),
        )
        assert (done.returncode, done.stderr) == (7, "")
        assert [line.text for line in logplex.lines] == ["line"]


def test_sigterm_stays_ignored_where_it_was():
    """Waiting records are delivered, and the program goes on."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            SIGTERM_SELF.format(
                before="signal.signal(signal.SIGTERM, signal.SIG_IGN)",
                after="print(handler.stats().delivered)",
            ),
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_sigterm_in_the_middle_of_logging_loses_nothing():
    """It comes while the main thread logs as fast as it can, and other threads too."""
    with LogplexReceiver() as logplex:
        done = run(
            logplex.url,
            """
            import signal
            from logplex_handler import flush_on_sigterm
            counts = [0, 0]
            def leave(number, frame):
                print(counts[0], handler.stats().dropped, flush=True)
                os._exit(0 if handler.stats().pending < 100 else 9)
            signal.signal(signal.SIGTERM, leave)
            flush_on_sigterm()
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM)).start()
            while True:
                logger.info("line %d", counts[0])
                counts[0] += 1
            """,
        )
        assert (done.returncode, done.stderr) == (0, "")
        count, dropped = done.stdout.split(" ", 1)
        assert eval(dropped) == {}
        # The interrupted call itself may not have come to the accumulator.
        assert len(logplex.lines) >= int(count)
        assert [line.text for line in logplex.lines] == [
            f"line {number}" for number in range(len(logplex.lines))
        ]


def test_sigterm_delivers_to_one_receiver_while_another_hangs():
    """All handlers are flushed at the same time; undelivered records are reported."""
    with LogplexReceiver() as logplex, serving(hang) as hanging, stopwatch() as watch:
        done = run(
            logplex.url,
            f"""
            import signal, time
            from logplex_handler import flush_on_sigterm
            hanging = LogplexHandler({hanging.url!r}, shutdown_timeout=1.0)
            logger.addHandler(hanging)
            logger.info("line")
            flush_on_sigterm()
            print(time.monotonic(), flush=True)
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)
            """,
            shutdown_timeout=1.0,
        )
        assert watch.since(float(done.stdout)) < 1.0 + 2.0
        assert done.returncode == -signal.SIGTERM
        assert [line.text for line in logplex.lines] == ["line"]
    assert done.stderr.count("1 record not delivered") == 1


def test_sigterm_ends_the_program_although_another_signal_interrupts_the_delivery():
    """Such as Ctrl-C; a handler of the application may also raise anything."""
    interrupted = """
class Interrupted(LogplexHandler):
    def flush(self, timeout=None):
        raise KeyboardInterrupt
kept = Interrupted()
"""
    with LogplexReceiver() as logplex:
        done = run(logplex.url, SIGTERM_SELF.format(before=interrupted, after="time.sleep(10)"))
    assert done.returncode == -signal.SIGTERM


def test_sigterm_that_comes_again_neither_prolongs_nor_doubles_what_the_first_one_does():
    impatient = """
signal.signal(signal.SIGTERM, lambda number, frame: print("ended"))
class Impatient(LogplexHandler):
    def flush(self, timeout=None):
        if not again:
            again.append(os.kill(os.getpid(), signal.SIGTERM))
        return super().flush(timeout)
again = []
kept = Impatient()
"""
    with LogplexReceiver() as logplex:
        done = run(logplex.url, SIGTERM_SELF.format(before=impatient, after=""))
        assert [line.text for line in logplex.lines] == ["line"]
    assert done.stdout == "ended\n"
