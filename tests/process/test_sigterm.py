"""`flush_on_sigterm` delivers first, then leaves SIGTERM to its previous handler."""

import signal

from logplex_handler.testing import LogplexReceiver
from tests.pace import far_interval, stopwatch
from tests.process.shared import run_forked as run
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
            import signal, time
            from logplex_handler import flush_on_sigterm
            counts = [0, 0]
            def leave(number, frame):
                print(counts[0], handler.stats().dropped, flush=True)
                os._exit(0 if handler.stats().pending < 100 else 9)
            signal.signal(signal.SIGTERM, leave)
            flush_on_sigterm()
            def end():
                while counts[0] < 10_000:
                    time.sleep(0.001)
                os.kill(os.getpid(), signal.SIGTERM)
            threading.Thread(target=end).start()
            while True:
                # So many find room though nothing is taken.
                if counts[0] < 50_000:
                    logger.info("line %d", counts[0])
                    counts[0] += 1
                else:
                    time.sleep(0.001)
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


def test_what_fails_at_sigterm_costs_no_other_handler_its_records():
    """A filter ends the report of metrics, and handlers of the application's raise errors."""
    failing = f"""
from logplex_handler import Metrics
class Failing(LogplexHandler):
    def flush(self, timeout=None): raise ValueError("not now")
    def close(self): raise ValueError("not now")
class Ending(logging.Filter):
    def filter(self, record): raise SystemExit
kept = Failing()
last = LogplexHandler(flush_interval=60, shutdown_timeout=60)
last.setFormatter(logging.Formatter("%(message)s of the last"))
logger.addHandler(last)
metrics = Metrics(logger.getChild("metrics"), interval={far_interval()})
logger.getChild("metrics").addFilter(Ending())
metrics.count("orders")
"""
    with LogplexReceiver() as logplex:
        script = SIGTERM_SELF.format(before=failing, after="time.sleep(10)")
        done = run(logplex.url, script, shutdown_timeout=60)
        assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
        assert {line.text for line in logplex.lines} == {"line", "line of the last"}


def test_a_child_that_is_forked_while_sigterm_delivers_obeys_sigterm():
    """Another thread forks, as the one of a Pool does that replaces its workers."""
    script = """
    import signal, time, warnings
    from logplex_handler import flush_on_sigterm
    warnings.simplefilter("ignore")
    parent = os.getpid()
    class Slow(LogplexHandler):
        def flush(self, timeout=None):
            if os.getpid() == parent:
                delivering.set()
                forked.wait(100)
            return True
    def fork():
        delivering.wait(100)
        child = os.fork()
        if not child:
            # Python 3.13.0 may miss signals of others in a child that a thread has forked.
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(9)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
        forked.set()
    delivering, forked = threading.Event(), threading.Event()
    slow = Slow()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    flush_on_sigterm()
    threading.Thread(target=fork).start()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)
    """
    with LogplexReceiver() as logplex:
        done = run(logplex.url, script)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, f"{-signal.SIGTERM}\n")
