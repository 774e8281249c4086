"""Metrics in a record: alone, next to a message, and across several lines."""

from __future__ import annotations

import copy
import itertools
import logging
import logging.config
import logging.handlers
import pickle
import queue
import struct

import pytest

from logplex_handler import KeyValueFormatter, count, measure, sample
from tests import strict
from tests.formatting.shared import LATENCY, failure, line, record


def test_a_record_of_metrics_alone_is_the_line_of_the_documents():
    """Source and metrics, nothing else, static pairs included."""
    formatter = KeyValueFormatter(source="us-east", static={"service": "shop"})
    assert line("", extra=LATENCY, formatter=formatter) == (
        "source=us-east measure#web.latency=4ms"
    )


def test_without_a_source_metrics_stand_alone():
    """Nothing stands before them."""
    extra = count("db.queries", 2) | count("db.snapshots", 10)
    assert line("", extra=extra) == "count#db.queries=2 count#db.snapshots=10"


@pytest.mark.parametrize(
    ("message", "args"), [("served", ()), ("a=%s", ("b",)), ({"a": "b"}, ()), ("%d", ("x",))]
)
def test_metrics_stand_beside_a_message(message, args):
    """The line is an ordinary one, with unchanged metrics."""
    text = line(message, *args, extra=LATENCY)
    assert text.startswith("level=info logger=shop ")
    assert text.endswith(" measure#web.latency=4ms")


def test_metrics_stand_behind_the_extras():
    """With an empty message there is no `msg` pair."""
    extra = LATENCY | {"path": "/a b"}
    assert line("", extra=extra) == 'level=info logger=shop path="/a b" measure#web.latency=4ms'


def test_a_mapping_without_pairs_is_as_an_empty_message():
    """With metrics, the line has the metrics alone."""
    assert line({}, extra=LATENCY) == "measure#web.latency=4ms"


@pytest.mark.parametrize("exceptions", ["inline", "lines"])
def test_metrics_beside_an_exception_count_once(exceptions):
    """One line for each line of the traceback does not multiply them."""
    formatter = KeyValueFormatter(exceptions=exceptions, source="here")
    extra = count("errors") | LATENCY
    text = line("failed", exc_info=failure(ValueError("x")), extra=extra, formatter=formatter)
    lines = [strict.pairs(line_) for line_ in text.split("\n")]
    found = [metric for line_ in lines for metric in strict.metrics(line_)]
    assert [(metric.name, metric.value, metric.source) for metric in found] == [
        ("errors", 1, "here"),
        ("web.latency", 4, "here"),
    ]
    if exceptions == "lines":
        assert len(lines) > 1
        assert len(strict.metrics(lines[-1])) == 2


@pytest.mark.parametrize("exceptions", ["inline", "lines"])
def test_metrics_and_an_exception_without_a_message_are_an_ordinary_line(exceptions):
    """The metrics do not hide the exception."""
    formatter = KeyValueFormatter(exceptions=exceptions)
    given = failure(ValueError("x"))
    text = line("", exc_info=given, extra=LATENCY, formatter=formatter)
    assert text.startswith("level=info logger=shop error=ValueError error_msg=x ")


def test_metrics_beside_a_traceback_that_came_as_text_do_not_hide_it():
    """A pickled record has its exception only as text."""
    given = record("", extra=LATENCY)
    given.exc_text = "Traceback:\nValueError: x"
    found = strict.pairs(KeyValueFormatter().format(given))
    assert ("traceback", "Traceback:\nValueError: x") in found
    assert ("measure#web.latency", "4ms") in found


def test_metrics_beside_stack_info_do_not_hide_it():
    """Stack info makes an ordinary line too."""
    given = record("", extra=LATENCY)
    given.stack_info = "Stack"
    assert line_keys(KeyValueFormatter().format(given)) == [
        *["level", "logger", "measure#web.latency", "stack"]
    ]


def line_keys(text):
    """The keys of a line."""
    return [key for key, _ in strict.pairs(text)]


@pytest.mark.parametrize("source", [None, "us-east", "s" * 200], ids=["none", "short", "long"])
@pytest.mark.parametrize("name", ["m", "é" * 95], ids=["short", "long"])
@pytest.mark.parametrize("number", [1, 10, 100, 1000])
def test_a_long_list_of_metrics_goes_on_in_lines_with_the_source(source, name, number):
    """Each line is at most 1,000 bytes, none is empty, and none of the metrics is cut."""
    extra: dict[str, str] = {}
    for index in range(number):
        extra |= sample(f"{name}{index}", index, "MB")
    lines = line("", extra=extra, formatter=KeyValueFormatter(source=source)).split("\n")
    found = [strict.metrics(strict.pairs(text)) for text in lines]
    assert all(found)
    assert [metric.name for metrics in found for metric in metrics] == [
        f"{name}{index}" for index in range(number)
    ]
    assert {metric.source for metrics in found for metric in metrics} == {source or ""}
    assert all(len(text.encode()) <= 1000 for text in lines)
    if number == 1:
        assert len(lines) == 1
    for text, following in itertools.pairwise(lines):
        first = strict.pairs(following)[1 if source else 0]
        assert len(f"{text} {first[0]}={first[1]}".encode()) > 1000


def test_the_largest_metric_has_a_line_of_its_own():
    """One metric with its source is never cut, however long it is."""
    extra = measure("n" * 200, 1e308, "u" * 20) | sample("n" * 200, 1e308, "u" * 20)
    text = line("", extra=extra, formatter=KeyValueFormatter(source="s" * 200))
    lines = text.split("\n")
    assert len(lines) == 2
    assert [len(strict.metrics(strict.pairs(line_))) for line_ in lines] == [1, 1]
    assert max(len(line_.encode()) for line_ in lines) <= 1000


def through_a_queue(given):
    """The record as a QueueHandler puts it."""
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    logging.handlers.QueueHandler(records).emit(given)
    return records.get_nowait()


def through_a_socket(given):
    """The record as a SocketHandler sends it."""
    data = logging.handlers.SocketHandler("localhost", 1).makePickle(given)
    (length,) = struct.unpack(">L", data[:4])
    assert length == len(data) - 4
    return logging.makeLogRecord(pickle.loads(data[4:]))


@pytest.mark.parametrize(
    "way",
    [
        *[copy.copy, copy.deepcopy, through_a_queue, through_a_socket],
        lambda given: pickle.loads(pickle.dumps(through_a_queue(given))),
    ],
    ids=["copy", "deepcopy", "queue", "socket", "process"],
)
@pytest.mark.parametrize("message", ["", "served"])
def test_metrics_survive_the_ways_of_a_record(way, message):
    """Copied, queued or pickled, a record makes the same line."""
    given = record(message, extra=LATENCY | {"path": "/"})
    before = KeyValueFormatter().format(given)
    assert "measure#web.latency=4ms" in before
    assert KeyValueFormatter().format(way(given)) == before


def test_a_mapping_of_metrics_as_message_is_metrics():
    """`logger.info(measure(...))` logs that metric."""
    assert line(measure("web.latency", 4, "ms")) == "measure#web.latency=4ms"
    assert strict.pairs(line({"path": "/"} | count("hits"))) == [
        ("level", "info"),
        ("logger", "shop"),
        ("path", "/"),
        ("count#hits", "1"),
    ]


@pytest.mark.parametrize("long", ["x" * 9_000, "x " * 5_000, "€" * 400])
def test_metrics_beside_a_long_text_stand_on_a_line_of_their_own(long):
    """The end of a packet could cut them, and a number that is cut is another number."""
    formatter = KeyValueFormatter(source="here")
    text = line("%s", long, extra=count("orders", 123456), formatter=formatter)
    record_line, metrics_line = text.split("\n")
    assert strict.metrics(strict.pairs(record_line)) == []
    assert metrics_line == "source=here count#orders=123456"
