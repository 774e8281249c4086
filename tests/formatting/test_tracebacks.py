"""The text of an exception is the one of `logging.Formatter`, whatever the exception is."""

import builtins
import linecache
import logging
import sys
import traceback

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler._formatting import tracebacks
from logplex_handler._formatting.tracebacks import written
from tests.formatting.shared import Unprintable, failure, line

FORMATTER = KeyValueFormatter()


class Custom(Exception):
    pass


class Unshowable(Exception):
    def __str__(self):
        raise RuntimeError("no")


class Noteless(Exception):
    @property
    def __notes__(self):
        raise RuntimeError("no")


def recursive(depth):
    if depth:
        recursive(depth - 1)
    raise ValueError("deep")


def several_lines():
    return max(
        1,
        int("x"),
    )


def with_cause():
    try:
        int("x")
    except ValueError as error:
        raise Custom("second") from error


def with_context():
    try:
        int("x")
    except ValueError:
        raise Custom("second\nline")  # noqa: B904 - the context is meant


def without_context():
    try:
        int("x")
    except ValueError:
        raise Custom from None


def loop():
    error = Custom("a")
    error.__context__ = Custom("b")
    error.__context__.__context__ = error
    raise error


def noted():
    error = Custom("x")
    error.__notes__ = ["a note"]
    raise error


def evaluated():
    exec(compile("raise KeyError('k')", "<made>", "exec"))


def raised(error):
    raise error


MAKERS = {
    "plain": lambda: raised(ValueError("no")),
    "empty": lambda: raised(Custom()),
    "odd text": lambda: raised(KeyError('a\n"b"\\')),
    "unshowable": lambda: raised(Unshowable()),
    "unprintable": lambda: raised(ValueError(Unprintable())),
    "a few times": lambda: recursive(2),
    "recursion": lambda: recursive(10),
    "several lines": several_lines,
    "cause": with_cause,
    "context": with_context,
    "no context": without_context,
    "loop": loop,
    "notes": noted,
    "a name": lambda: eval("lod"),
    "an attribute": lambda: eval("[].apend"),
    "an import": lambda: __import__("no_such_module"),
    "syntax": lambda: compile("a b", "<text>", "exec"),
    "no source": evaluated,
    "exit": lambda: raised(SystemExit(3)),
}
if hasattr(builtins, "ExceptionGroup"):
    MAKERS["group"] = lambda: raised(eval("ExceptionGroup")("g", [ValueError("x")]))


if sys.version_info >= (3, 13):
    # Before, the `traceback` module lets the error pass, or that of the package `exceptiongroup`.
    MAKERS["notes that fail"] = lambda: raised(Noteless("x"))


def info(make):
    try:
        make()
    except BaseException:
        return sys.exc_info()


@pytest.mark.parametrize("name", MAKERS)
def test_the_text_is_that_of_the_standard_library(name):
    """The first time, and when the frames are known."""
    for _ in range(3):
        exception = info(MAKERS[name])
        expected = logging.Formatter().formatException(exception)
        assert written(FORMATTER, exception) == expected


def test_the_same_frame_is_formatted_once(monkeypatch):
    """An exception of the same code, with another text."""
    written(FORMATTER, info(MAKERS["plain"]))
    monkeypatch.setattr(traceback, "format_tb", None)
    assert written(FORMATTER, info(MAKERS["plain"])).endswith("ValueError: no")


def test_texts_of_frames_are_not_kept_without_bound():
    """As code that is made at run time has new ones."""
    tracebacks._kept.clear()
    for number in range(1100):
        # Its line has a text in this file.
        code = compile(f"raise ValueError({number})", __file__, "exec")
        written(FORMATTER, info(lambda code=code: exec(code)))
        assert 0 < len(tracebacks._kept) <= 1024


def test_long_texts_of_frames_are_not_kept():
    """Generated code may have names and lines of any length."""
    name, source = f"<{'n' * 5_000}>", "int('x')\n"
    linecache.cache[name] = (len(source), None, [source], name)
    try:
        exec(compile(source, name, "exec"))
    except ValueError as error:
        text = written(FORMATTER, (type(error), error, error.__traceback__))
    finally:
        del linecache.cache[name]
    assert f'File "{name}", line 1' in text
    assert all(name not in kept for kept in tracebacks._kept.values())


def test_equal_code_of_two_files_is_told_apart(tmp_path):
    """As of a function that was copied to another module."""
    for name in ("one", "other"):
        path = tmp_path / name
        path.write_text("1 / zero")
        code = compile("1 / zero", str(path), "exec")
        exception = info(lambda code=code: exec(code, {"zero": 0}))
        assert written(FORMATTER, exception) == logging.Formatter().formatException(exception)


def test_a_file_that_cannot_be_read_for_a_moment(tmp_path):
    """Its line is there the next time."""
    path = tmp_path / "source"
    code = compile("1 / zero", str(path), "exec")
    for text in ("", "1 / zero"):
        if text:
            path.write_text(text)
        linecache.checkcache()
        exception = info(lambda: exec(code, {"zero": 0}))
        assert ("    1 / zero" in written(FORMATTER, exception)) == bool(text)


@pytest.mark.parametrize(
    "exception",
    [(ValueError, None, None), (Exception, ValueError("x"), None), (Custom, Custom("x"), None)],
)
def test_what_is_incomplete_is_written_too(exception):
    """Without an exception, with another type, or without a traceback."""
    assert written(FORMATTER, exception) == logging.Formatter().formatException(exception)


def test_a_limit_of_frames_holds(monkeypatch):
    """The application has set it for all tracebacks."""
    monkeypatch.setattr(sys, "tracebacklimit", 1, raising=False)
    exception = info(MAKERS["cause"])
    assert written(FORMATTER, exception) == logging.Formatter().formatException(exception)


def test_a_formatter_may_write_exceptions_in_its_own_way():
    """As a method of its class, or of the formatter alone."""

    class Short(KeyValueFormatter):
        def formatException(self, ei):
            return "short"

    own = KeyValueFormatter()
    own.formatException = lambda ei: "own"
    given = failure(ValueError("x"))
    assert "traceback=short" in line(exc_info=given, formatter=Short())
    assert "traceback=own" in line(exc_info=given, formatter=own)


def test_a_program_may_replace_the_method_of_every_formatter(monkeypatch):
    """To hide something, for example."""
    monkeypatch.setattr(logging.Formatter, "formatException", lambda self, ei: "hidden")
    assert "traceback=hidden" in line(exc_info=failure(ValueError("x")))


def test_a_library_may_replace_the_function_of_the_standard_library(monkeypatch):
    """Its text is written."""

    def print_exception(*given, file=None, **__):
        (file or given[-1]).write("theirs\n")

    monkeypatch.setattr(traceback, "print_exception", print_exception)
    assert "traceback=theirs" in line(exc_info=failure(ValueError("x")))
