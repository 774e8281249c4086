"""What nothing catches is logged, delivered, and printed as before."""

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.process.shared import run_forked as run

INSTALL = """
import logplex_handler
handler.setFormatter(logplex_handler.KeyValueFormatter())
logging.getLogger().addHandler(handler)
logger.removeHandler(handler)
"""
WITH_HOOKS = f"{INSTALL}logplex_handler.log_uncaught_exceptions()\n"


def crash(script, *, before=WITH_HOOKS, **options):
    """The finished program, and the pairs of the lines that arrived."""
    with LogplexReceiver() as logplex:
        lines = script.strip("\n").splitlines()
        margin = len(lines[0]) - len(lines[0].lstrip())
        done = run(logplex.url, before + "\n".join(line[margin:] for line in lines), **options)
        return done, [dict(line.pairs) for line in logplex.lines]


def test_the_traceback_of_a_crash_arrives():
    """The program ends with the status and the output that it would have had."""
    done, lines = crash("def ship(): raise ValueError('no label')\nship()")
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: no label\n")
    [line] = lines
    assert (line["level"], line["msg"]) == ("critical", "uncaught exception")
    assert (line["error"], line["error_msg"]) == ("ValueError", "no label")
    assert "in ship" in line["traceback"]


def test_without_it_nothing_arrives():
    """It is an opt-in."""
    done, lines = crash("raise ValueError('no label')", before=INSTALL)
    assert (done.returncode, lines) == (1, [])


def test_the_traceback_of_a_thread_arrives_while_the_program_goes_on():
    """The main thread sees the line before it ends."""
    done, lines = crash(
        """
        def work(): 1 / 0
        thread = threading.Thread(target=work, name="packer")
        thread.start(); thread.join()
        print(handler.flush(100), handler.stats().delivered)
        """
    )
    assert (done.returncode, done.stdout) == (0, "True 1\n")
    assert "ZeroDivisionError" in done.stderr
    [line] = lines
    assert line["msg"] == "uncaught exception in a thread"
    assert (line["thread_name"], line["error"]) == ("packer", "ZeroDivisionError")


def test_what_cannot_be_raised_arrives():
    """An error in `__del__` says where it was raised, and not what the object holds."""
    done, lines = crash(
        """
        class Parcel:
            def __repr__(self): return "s3cret"
            def __del__(self): raise OSError("torn")
        Parcel()
        class Proxy:
            def __getattr__(self, name): raise RuntimeError("outside of a request")
            def __call__(self, reference): raise OSError("lost")
        import weakref
        parcel = type("Other", (), {})()
        reference = weakref.ref(parcel, Proxy())
        del parcel
        """
    )
    assert done.returncode == 0
    line, of_proxy = lines
    assert (of_proxy["raised_in"], of_proxy["error_msg"]) == ("Proxy", "lost")
    assert "OSError: lost" in done.stderr
    assert (line["raised_in"], line["error"], line["error_msg"]) == (
        "Parcel.__del__",
        "OSError",
        "torn",
    )
    assert "s3cret" not in str(line)


def test_the_exception_of_a_task_arrives_without_a_hook():
    """Asyncio logs it itself, as soon as the task is collected."""
    _, lines = crash(
        """
        import asyncio, gc
        async def fail(): raise LookupError("lost")
        async def main():
            task = asyncio.create_task(fail())
            await asyncio.sleep(0)
            del task
            gc.collect()
        asyncio.run(main())
        """,
        before=INSTALL,
    )
    [line] = lines
    assert (line["logger"], line["error"]) == ("asyncio", "LookupError")


@pytest.mark.parametrize(
    "ending", ["raise KeyboardInterrupt", "sys.exit('stopped')", "raise SystemExit(3)"]
)
def test_an_ordinary_end_is_no_crash(ending):
    """Ctrl-C and sys.exit end a program as they always do."""
    done, lines = crash(ending)
    assert done.returncode != 0
    assert lines == []


def test_sys_exit_in_a_thread_is_no_crash():
    """It ends the thread, silently."""
    done, lines = crash("thread = threading.Thread(target=sys.exit); thread.start(); thread.join()")
    assert (done.returncode, done.stderr, lines) == (0, "", [])


def test_the_hooks_that_were_there_run_after_it():
    """An error reporter sees every exception, as before; a second call only changes the logger."""
    hooks = """
    sys.excepthook = lambda *_: print("main")
    threading.excepthook = lambda _: print("thread")
    sys.unraisablehook = lambda _: print("unraisable")
    logplex_handler.log_uncaught_exceptions()
    logplex_handler.log_uncaught_exceptions("crashes", level="ERROR")
    class Parcel:
        def __del__(self): raise OSError
    Parcel()
    thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()
    raise ValueError
    """
    done, lines = crash(hooks, before=INSTALL)
    assert done.stdout.split() == ["unraisable", "thread", "main"]
    assert [(line["logger"], line["level"]) for line in lines] == [("crashes", "error")] * 3


def test_what_an_exception_or_a_thread_says_of_itself_hides_nothing():
    """Attributes may be computed, and fail."""
    done, lines = crash(
        """
        class Torn(Exception):
            @property
            def __class__(self): raise OSError
        class Nameless(threading.Thread):
            is_named = True
            def __getattribute__(self, attribute):
                if attribute == "name" and not Nameless.is_named: raise OSError
                return super().__getattribute__(attribute)
            def run(self): raise Torn("in a thread")
        sys.excepthook = lambda *_: print("main")
        threading.excepthook = lambda _: print("thread")
        logplex_handler.log_uncaught_exceptions()
        thread = Nameless()
        thread.start()
        Nameless.is_named = False
        threading.excepthook(threading.ExceptHookArgs((Torn, Torn("again"), None, thread)))
        Nameless.is_named = True
        thread.join()
        raise Torn("main")
        """,
        before=INSTALL,
    )
    assert sorted(done.stdout.split()) == ["main", "thread", "thread"]
    assert {line["error_msg"] for line in lines} == {"in a thread", "again", "main"}


def test_what_a_garbage_collection_raises_is_not_of_the_request_that_triggers_it():
    """Nor of the stream of its customer: any call may collect another customer's objects."""
    _, lines = crash(
        """
        import contextvars
        request = contextvars.ContextVar("request")
        handler.setFormatter(logplex_handler.KeyValueFormatter(static={"request": request.get}))
        class Order:
            def __del__(self): raise OSError
        request.set("another one")
        Order()
        logging.error("ready")
        """
    )
    collected, ready = lines
    assert (collected["error"], collected.get("request")) == ("OSError", None)
    assert ready["request"] == "another one"


@pytest.mark.parametrize("error", ["RuntimeError", "SystemExit"])
def test_a_filter_that_fails_hides_no_traceback(error):
    """It is reported, and the previous hook runs."""
    done, lines = crash(
        f"""
        def refuse(record): raise {error}("a filter")
        logging.getLogger().addFilter(refuse)
        raise ValueError("no label")
        """
    )
    assert f"logplex_handler: uncaught exception: not logged: {error}" in done.stderr
    assert done.stderr.endswith("ValueError: no label\n")
    assert (done.returncode, lines) == (1, [])


def test_what_the_logging_of_an_exception_raises_is_only_printed():
    """It would be logged without end: here, a filter makes an object that cannot be collected."""
    done, lines = crash(
        """
        class Parcel:
            def __del__(self): raise OSError("torn")
        handler.addFilter(lambda record: bool([Parcel()]))
        Parcel()
        """
    )
    assert done.returncode == 0
    assert [line["error_msg"] for line in lines] == ["torn"]
    assert done.stderr.count("OSError: torn") == 2


def test_a_child_of_fork_crashes_as_its_parent_would():
    """Its line arrives, although it ends in os._exit."""
    done, lines = crash(
        """
        if os.fork() == 0:
            try:
                1 / 0
            except ZeroDivisionError:
                sys.excepthook(*sys.exc_info())
                logplex_handler.flush_all()
            os._exit(1)
        os.wait()
        """
    )
    assert done.returncode == 0
    assert [line["error"] for line in lines] == ["ZeroDivisionError"]
