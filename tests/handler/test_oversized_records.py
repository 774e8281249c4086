"""Records that are longer than the handler's memory are dropped before they are formatted."""

from __future__ import annotations

import builtins
import itertools
import logging
import random
import sys
from itertools import pairwise

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler._formatting import call_sites, exception_texts, fitting, grammar, record_parts
from logplex_handler._wire.entry import weight
from logplex_handler.testing import LogplexReceiver
from tests import strict
from tests.logs import balanced, logging_to

# So much that no part of it is short enough for a compiled call site.
LIMIT = 500_000
LONG = "\x00" * (LIMIT + 1)


HAS_NOTES = pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no notes")


def caused(cause, during=None):
    """An exception with a cause, or one that another was handled for, which refer to each other."""
    error = ValueError("here")
    error.__cause__, error.__context__, error.__suppress_context__ = cause, during, bool(cause)
    (cause or during).__context__ = error
    return error


def noted(*notes):
    error = ValueError("here")
    error.__notes__ = [*notes]
    return error


def chained(errors):
    """The last of these exceptions, each of which was handled when the next one was raised."""
    for before, error in pairwise(errors):
        error.__context__ = before
    return errors[-1]


def empty(number):
    return [ValueError() for _ in range(number)]


def group(members, message="several"):
    # Python 3.10 has no groups; the rows that have any are skipped there.
    make = getattr(builtins, "BaseExceptionGroup", None)
    return make and make(message, members)


@pytest.mark.parametrize(
    ("message", "args", "options"),
    [
        (LONG, (), {}),
        ("a=%s", (LONG,), {}),
        ("hello %s %d", (LONG, 1), {}),
        ({"a": LONG}, (), {}),
        ("hello", (), {"extra": {"a": LONG}}),
        ("hello %s", (LONG[: LIMIT // 2],), {"extra": {"a": LONG[: LIMIT // 2 + 1]}}),
        # Too long once they are escaped, or as bytes.
        ("hello %s", (LONG[: LIMIT // 6 + 1],), {}),
        (LONG[: LIMIT // 6 + 1], (), {}),
        ("hello", (), {"extra": {"a": '"' * (LIMIT // 2 + 1)}}),
        ("hello", (), {"extra": {"a": "\x85" * (LIMIT // 6 + 1)}}),
        ({"a": "é" * (LIMIT // 4 + 1)}, (), {}),
        ("hello %.90000s", (LONG,), {}),
        ("hello", (), {"exc_info": ValueError(LONG[: LIMIT // 6 + 1])}),
        (ValueError(LONG), (), {}),
        ("a=%(b)s", ({"b": LONG},), {}),
        ("%(a)s" * 20, ({"a": LONG[: LIMIT // 10]},), {}),
        ("\\" + "%(a)s" * 20 + "%(b).3s", ({"a": LONG[: LIMIT // 10], "b": "b"},), {}),
        ("%(a)s" * 20, ({"a": [LONG[: LIMIT // 10]]},), {}),
        ("hello", (), {"extra": {"a": type("Text", (str,), {})(LONG)}}),
        ("hello", (), {"extra": {"a": [LONG], "b": 1}}),
        ("hello", (), {"extra": {"a": {"b": LONG}}}),
        ("hello", (), {"extra": {"a": LONG.encode()}}),
        ("hello %999999d", (1,), {}),
        ("a=%.999999f b=%s", (1, 2), {}),
        ("%*s", (-LIMIT - 1, 1), {}),
        ("%(a)400000s %(a)400000s", ({"a": 1},), {}),
        ('a="%\\u00399999999d%d"', (1, 1), {}),
        ({LONG: 1}, (), {}),
        ("hello", (), {"extra": {LONG: 1}}),
        ("hello", (), {"extra": {"a": {LONG: 1}}}),
        ("hello %s", ({"a": LONG},), {}),
        ("hello %s", (ValueError(LONG),), {}),
        ([LONG], (), {}),
        ([LONG.encode()], (), {}),
        ("hello", (), {"extra": {"a": (ValueError(LONG), type("Text", (str,), {})(LONG))}}),
        ("hello", (), {"exc_info": ValueError(LONG, 1)}),
        ("hello", (), {"exc_info": KeyError(LONG)}),
        ("hello", (), {"exc_info": OSError(36, "File name too long", LONG)}),
        ("hello", (), {"exc_info": ImportError(LONG)}),
        ("hello", (), {"exc_info": caused(ValueError(LONG))}),
        ("hello", (), {"exc_info": caused(None, during=ValueError(LONG))}),
        ("hello", (), {"exc_info": chained([ValueError(LONG), *empty(40)])}),
        pytest.param("hello", (), {"exc_info": noted(LONG)}, marks=HAS_NOTES),
        pytest.param("hello", (), {"exc_info": group([*empty(9), noted(LONG)])}, marks=HAS_NOTES),
    ],
)
@pytest.mark.parametrize("on_full", ["drop_oldest", "block"])
def test_what_cannot_fit_is_not_escaped(message, args, options, on_full, monkeypatch):
    """It is counted as always, and costs no other record."""
    escaped = []
    escape = grammar.escape
    monkeypatch.setattr(grammar, "escape", lambda text: escaped.append(len(text)) or escape(text))
    # Both the records that are counted and those that meet what was compiled.
    monkeypatch.setattr(call_sites, "_RECORDS_BEFORE_COMPILING", 5)
    with (
        LogplexReceiver() as receiver,
        logging_to(
            receiver.url, formatter=KeyValueFormatter(), max_buffer_bytes=LIMIT, on_full=on_full
        ) as (logger, handler),
    ):
        logger.info("before")
        for _ in range(10):
            logger.info(message, *args, **options)
        logger.info("behind")
        assert handler.flush(100)
        stats = handler.stats()
        assert balanced(stats)
        assert dict(stats.dropped) == {"buffer_full": 10}
        texts = [line.pairs[-1][1] for line in receiver.lines if "dropped" not in line.text]
        assert texts == ["before", "behind"]
    assert max(escaped) < 1000


class Masked(str):
    def __str__(self):
        return "***"


class Short(str):
    def __repr__(self):
        return "..."


class Hidden(KeyError):
    def __str__(self):
        return "***"

    __repr__ = __str__


class Untouchable:
    """Must be asked for nothing."""

    def __getattribute__(self, name):
        raise AssertionError(name)


def test_no_value_is_asked_for_anything():
    """Not even for its class, wherever it is."""
    value = Untouchable()
    error = ValueError(value, 1)
    error.__notes__ = value
    for message, args in [("a %s", (value,)), ({value: value}, ()), ("%*d", (value, value))]:
        record = logging.LogRecord("app", logging.INFO, "", 0, message, (), None)
        record.__dict__.update(args=args, extra=value, more=[value])
        for exception in [(ValueError, error, None), error, value]:
            record.exc_info = exception
            assert fitting.fits(record, record_parts.NOT_EXTRAS, 1000)


@pytest.mark.parametrize(
    ("template", "arguments", "padding"),
    [
        ("%500d", (1,), 500), ("%0500d % 700d", (1, 1), 1200), ("%.500d%.700s", (1, 1), 500),
        ("%*.*f", (5, 7, 1), 12), ("%-*d", (-5, 1), 5), ("%.*d", (-5, 1), 0), ("%%500d", (1,), 0),
        ("%(a(b)c)500d", {"a(b)c": 1}, 500), ("%500%%600d", (1,), 600), ("%(a500d", {"a": 1}, 0),
        ("%" + "9" * 30 + "d", (1,), 0), ("%500d %!%600d", (1, 1), 500), ("%*d", ("5", 1), 0),
        ("%*d", (True, 1), 1), ("%ld%500ld", (1, 1), 500), ("500 %", (1,), 0),
        ('a="%\\u0035d" b=%600d', (1, 1), 605), ("\\ %500d", (1,), 500), ("%50d", (1,), 0),
    ],
)  # fmt: skip
def test_the_padding_of_a_template_is_the_sum_of_its_widths(template, arguments, padding):
    """And of precisions that do not cut."""
    assert fitting.padding(template, arguments) == padding


@pytest.mark.parametrize(
    "text",
    ["a", "\x00", '"', "\\", "\n", "\x85", "é", "🎉", "\ud800", "a \x1b\x85é", '=" \\n', "\x9f"],
)
def test_what_fits_is_never_taken_for_what_does_not(text):
    """Whatever becomes of its texts."""
    long = 50 * text
    errors = [None, ValueError(long), KeyError(long), ValueError(long, 1), OSError(36, long, long)]
    errors += [OSError(long), ImportError(long), SyntaxError(long), noted(long, long)]
    errors += [caused(KeyError(long)), caused(None, during=ValueError(long)), Hidden(long)]
    errors += [caused(None, during=noted()), ValueError([long]), ValueError(KeyError(long))]
    messages = [
        ("%s", (long,)),
        ("a=%s b=%.3s", (long, long)),
        ("%.30s %.20s", (long, long)),
        ("%.*s %s", (3, long, 1)),
        (long, ()),
        (f'a="{long}"', ()),
        ({"a": long}, ()),
        ({"a": [long, {"b": long}]}, ()),
        (ValueError(long), ()),
        ("%(a)s b=%(a)s", ({"a": long, "b": long},)),
        ("%(a).3s", ({"a": long},)),
        ("%(a).s%(a).3s%(a)s", ({"a": long},)),
        ("%s %.3s", ([long, long], {long: (long, long)})),
        ("%s", (long.encode("utf-8", "surrogatepass"),)),
        ("%r", (Short(long),)),
        ("a=%s", (Masked(long),)),
        ("%s", ({"a": long},)),
        ("%.3s", ({"a": long},)),
        ("%%s %d", ({"a": long},)),
        ("%s %r", (ValueError(long), Hidden(long))),
        ("%r", (OSError(36, long, long),)),
        ("%-999s|%5.300f|%*d|%.*e", (1, 2, -300, 3, 400, 4)),
        ("%.999s", ("a",)),
        ([long], ()),
        ("a=%s b %r", ([long.encode("utf-8", "replace"), Masked(long)], [KeyError(long)])),
        ({(long,): 1, "key": {long: [long]}}, ()),
        ("", ()),
    ]
    for (message, args), error in itertools.product(messages, errors):
        exc_info = error and (type(error), error, None)
        record = logging.LogRecord("app", logging.INFO, "", 0, message, args, exc_info)
        record.__dict__.update(extra=long, omitted=long)
        line = KeyValueFormatter(omit=["omitted"]).format(record)
        omitted = record_parts.NOT_EXTRAS | {"omitted"}
        assert fitting.fits(record, omitted, weight((1, line)))
    assert grammar.escaped_length(long) == len(grammar.escape(long))


def record_of(error):
    exc_info = (type(error), error, error.__traceback__)
    return logging.LogRecord("app", logging.INFO, "", 0, "", (), exc_info)


def repeated(error, times, levels):
    """Groups within groups, with the same members several times each."""
    for _ in range(levels):
        error = group([error] * times)
    return error


@HAS_NOTES
@pytest.mark.parametrize(
    "make",
    [
        lambda text: group([ValueError()], text),
        lambda text: group(
            [ValueError(), group([ValueError(), chained([KeyError(text), ValueError()])])]
        ),
        lambda text: chained([group([ValueError(text)]), *empty(12)]),
        lambda text: chained([ValueError(text), group([ValueError()])]),
        lambda text: group([ValueError(text[:20])] * 15),
        lambda text: repeated(ValueError(), 2, 8),
        lambda text: repeated(ValueError(), 1, 40),
    ],
    ids=["message", "within", "before", "context", "members", "many", "deep"],
)
def test_a_traceback_that_cannot_fit_is_told_by_all_that_is_in_it(make):
    """In groups, and before them."""
    error = make("x" * 250)
    assert fitting.fits(record_of(error), record_parts.NOT_EXTRAS, 100_000)
    assert not fitting.fits(record_of(error), record_parts.NOT_EXTRAS, 249)


@HAS_NOTES
def test_exceptions_that_are_in_each_other_are_never_taken_for_what_does_not_fit(monkeypatch):
    """The `traceback` module writes each in one place, or only where it is not cut."""
    monkeypatch.setattr(exception_texts, "_MOST_WITHIN", 300)
    for seed in range(150):
        chance = random.Random(seed)
        errors = [noted("n" * 50) if number % 3 else ValueError("v" * 50) for number in range(12)]
        for _ in range(12):
            size = chance.choice([1, 2, 3, 16])
            errors.append(group(chance.choices(errors[-8:], k=size)))
        for error in errors:
            other = chance.choice(errors)
            if chance.random() < 0.4 and other is not error:
                error.__cause__ = chance.choice([other, None])
                error.__context__ = chance.choice([other, *errors])
                error.__suppress_context__ = chance.random() < 0.2
        record = record_of(errors[-1])
        if exception_texts.has_too_many(errors[-1]):
            continue
        line = KeyValueFormatter().format(record)
        assert fitting.fits(record, record_parts.NOT_EXTRAS, weight((1, line))), seed


@HAS_NOTES
def test_a_traceback_of_exceptions_without_end_is_not_written():
    """The `traceback` module would take hours, also for groups that are too deep to be shown."""
    endless = repeated(ValueError("a"), 2, 60)
    for error in [endless, chained([endless, *empty(12)])]:
        pairs = dict(strict.pairs(KeyValueFormatter().format(record_of(error))))
        assert pairs["traceback"] == f"<unprintable {type(error).__name__} object>"
        assert pairs["error"] == type(error).__name__
    wide = group([ValueError(str(number)) for number in range(5_000)])
    assert "and 4985 more exceptions" in KeyValueFormatter().format(record_of(wide))


class ByItself(KeyValueFormatter):
    def formatException(self, exc_info):
        return super().formatException(exc_info)


def with_notes(notes):
    error = ValueError("a")
    error.__notes__ = notes
    return error


def syntax_error(text, last):
    return SyntaxError("bad", ("a.py", 1, 1, text, 1, last))


@pytest.mark.parametrize("formatter", [KeyValueFormatter(), ByItself()], ids=["ours", "own"])
@pytest.mark.parametrize(
    "error",
    [
        syntax_error("", 10**18),
        pytest.param(with_notes(range(10**18)), marks=HAS_NOTES),
        pytest.param(with_notes(range(10**30)), marks=HAS_NOTES),
        pytest.param(with_notes(memoryview(bytes(200_000))), marks=HAS_NOTES),
        pytest.param(chained([ValueError("b"), with_notes([0] * 200_000)]), marks=HAS_NOTES),
    ],
    ids=["carets", "range", "longer than any length", "bytes", "list"],
)
def test_an_exception_with_parts_without_end_is_not_written(error, formatter):
    """A note is whatever was set, and the carets of a SyntaxError are only a number."""
    pairs = dict(strict.pairs(formatter.format(record_of(error))))
    assert pairs["traceback"] == f"<unprintable {type(error).__name__} object>"


def test_a_limit_of_frames_makes_no_traceback_endless(monkeypatch):
    monkeypatch.setattr(sys, "tracebacklimit", 1, raising=False)
    pairs = dict(strict.pairs(KeyValueFormatter().format(record_of(syntax_error("", 10**18)))))
    assert pairs["traceback"] == "<unprintable SyntaxError object>"


def test_a_text_of_another_formatter_that_cannot_fit_costs_no_other_record():
    """Though it is known only once it is formatted."""
    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, max_buffer_bytes=LIMIT) as (logger, handler),
    ):
        logger.info("before")
        logger.info("%s", LONG)
        assert handler.flush(100)
        assert dict(handler.stats().dropped) == {"buffer_full": 1}
        assert receiver.lines[-1].text == "before"


@pytest.mark.parametrize(
    ("formatter", "message", "args", "extra"),
    [
        (KeyValueFormatter(), "hello %.5s", (LONG,), {}),
        (KeyValueFormatter(), "hello %.*s", (5, LONG), {}),
        (KeyValueFormatter(omit=["data"]), "hello", (), {"data": LONG}),
        (logging.Formatter("hello %(name)s"), LONG, (), {}),
    ],
)
def test_a_long_text_that_is_not_written_costs_nothing(formatter, message, args, extra):
    """Its line is short."""
    with (
        LogplexReceiver() as receiver,
        logging_to(receiver.url, formatter=formatter, max_buffer_bytes=LIMIT) as (logger, handler),
    ):
        logger.info(message, *args, extra=extra)
        assert handler.flush(100)
        assert handler.stats().delivered == 1
        assert "hello" in receiver.lines[0].text
