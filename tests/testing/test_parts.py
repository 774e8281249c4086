"""Lines that were too long for one packet: the receiver joins their parts, and shows both."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace

import pytest

from logplex_handler import KeyValueFormatter
from logplex_handler.testing import LogplexCapture, LogplexReceiver, PartJoiner, _line
from tests.logs import logging_to
from tests.testing.wire import HEADER, frame, post

HEAD = "level=info logger=shop "
FORMATTER = KeyValueFormatter()


def send(receiver, *texts, header=HEADER):
    """Post one frame for each text."""
    post(receiver, b"".join(frame(text, header=header) for text in texts))


def received(*texts):
    """The lines that a receiver makes of packets with these texts."""
    with LogplexReceiver() as receiver:
        send(receiver, *texts)
        return receiver.lines


def test_a_long_line_is_one_line_with_its_parts():
    """Its pairs are those that were logged, and its parts are what was sent."""
    with LogplexReceiver() as receiver:
        with logging_to(receiver.url, formatter=FORMATTER) as (logger, handler):
            logger.info("hello %s", "é" * 12_000, extra={"a": 'x" y' * 4000, "n": 1})
            logger.info("bye")
            assert handler.flush(100)
            assert handler.stats().delivered == 2
        long, short = receiver.lines
    assert long.pairs == [
        ("level", "info"),
        ("logger", logger.name),
        ("msg", "hello " + "é" * 12_000),
        ("a", 'x" y' * 4000),
        ("n", "1"),
    ]
    assert short.parts == ()
    assert [part.pairs[2] for part in long.parts][:2] == [("part", "1/5"), ("part", "2/5")]
    assert long.violations == ()
    assert str(long).splitlines() == [str(part) for part in long.parts]
    assert long.frame == b"".join(part.frame for part in long.parts)
    assert all(len(part.frame) <= 10_000 for part in long.parts)


def test_a_line_is_whole_when_its_last_part_has_come():
    """Until then its parts are shown at the end; other lines may come between them."""
    with LogplexReceiver() as receiver:
        send(receiver, f'{HEAD}part=1/2 msg="ab c"')
        assert not receiver.wait_for(1, timeout=0.01)
        send(receiver, "other=line")
        assert receiver.wait_for(1)
        assert [line.text for line in receiver.whole_lines] == ["other=line"]
        assert [line.text for line in receiver.lines] == [
            "other=line",
            f'{HEAD}part=1/2 msg="ab c"',
        ]
        send(receiver, f'{HEAD}part=2/2 msg="d" n=1')
        assert receiver.wait_for(2)
        assert receiver.lines[1].text == f'{HEAD}msg="ab cd" n=1'
        receiver.clear()
        assert receiver.lines == ()


@pytest.mark.parametrize(
    ("texts", "joined"),
    [
        (["part=1/2 a=1", "part=2/2 a=2"], ["a=1 a=2"]),
        (['part=1/2 a="1"', 'part=2/2 a="2"'], ['a="12"']),
        (['part=1/2 b=1 a="1"', "part=2/2 c=2"], ['b=1 a="1" c=2']),
        (['part=1/3 a="1"', 'part=2/3 a="2"', 'part=3/3 a="\\"" b=x'], ['a="12\\"" b=x']),
        (["part=2/2 a=1"], ["part=2/2 a=1"]),
        (["part=1/2 a=1", "part=1/2 a=1", "part=2/2 b=2"], ["part=1/2 a=1", "a=1 b=2"]),
        (["part=1/3 a=1", "part=3/3 b=2"], ["part=1/3 a=1", "part=3/3 b=2"]),
        (["part=1/1 a=1"], ["part=1/1 a=1"]),
        (["part=0/2 a=1"], ["part=0/2 a=1"]),
        (["part=3/2 a=1"], ["part=3/2 a=1"]),
        (["part=1/2 "], ["part=1/2 "]),
        (["part=1/2 x"], ["part=1/2 x"]),
        (["a part=1/2 b=1"], ["a part=1/2 b=1"]),
        (['part="1/2" b=1'], ['part="1/2" b=1']),
        (['a="part=1/2 b=1"'], ['a="part=1/2 b=1"']),
    ],
)
def test_only_parts_that_belong_together_are_joined(texts, joined):
    """What is no part, or whose line is not whole, is shown as it came."""
    assert [line.text for line in received(*texts)] == joined


def test_lines_with_another_header_or_head_are_other_lines():
    """Of another process, at another time, or with another level."""
    with LogplexReceiver() as receiver:
        send(receiver, "level=info part=1/2 a=1")
        send(receiver, "level=info part=2/2 b=2", header=HEADER.replace("web.1", "web.2"))
        send(receiver, "level=error part=2/2 b=2")
        send(receiver, "level=info part=2/2 b=2", header=HEADER.replace("24.0", "25.0"))
        send(receiver, "level=info part=2/2 c=3")
        whole = [line.text for line in receiver.lines if line.parts]
    assert whole == ["level=info a=1 c=3"]


def test_parts_of_lines_that_never_become_whole_are_given_up():
    """Their number is bounded; what is given up is returned as it came."""
    joiner = PartJoiner()
    (line,) = received("part=1/2 a=1")
    lines = []
    for number in range(10_005):
        packet = line.packet._replace(text=f"number={number} part=1/2 a=1")
        lines += joiner.add(replace(line, packet=packet))
    assert [given_up.text for given_up in lines] == [
        f"number={number} part=1/2 a=1" for number in range(5)
    ]
    assert len(joiner.waiting) == 10_000


def test_parts_that_take_much_memory_are_given_up(monkeypatch):
    """The oldest first, as they came; one emoji makes a text four times as large."""
    (line,) = received("part=1/2 a=1")
    joiner = PartJoiner()

    def part(number, text):
        packet = line.packet._replace(text=f'number={number} part=1/2 a="{text}"')
        return replace(line, packet=packet, frame=text.encode())

    small = "x" * 9_000
    large = small + "\U0001f600"
    texts = []
    monkeypatch.setattr(_line, "_MAX_WAITING_BYTES", 1_000_000)
    for number in range(200):
        texts += [one.text[:10] for one in joiner.add(part(number, large))]
        size = sum(len(one.frame) + sys.getsizeof(one.text) for one in joiner.waiting)
        assert size <= 1_000_000
    assert len(joiner.waiting) > 20
    assert texts == [f"number={n} part"[:10] for n in range(200 - len(joiner.waiting))]
    # What does not fit alone is given up, too, and forgotten.
    monkeypatch.setattr(_line, "_MAX_WAITING_BYTES", 10_000)
    assert len(joiner.add(part(200, small))) == 1 + 200 - len(texts)
    assert joiner.waiting == []


def test_long_lines_of_several_streams_are_joined_though_they_take_turns():
    """Ten megabytes each, a part at a time."""
    (line,) = received("part=1/2 a=1")
    joiner = PartJoiner()
    whole = []
    for number in range(1, 1_021):
        for stream in range(6):
            text = f'part={number}/1020 a="{"x" * 9_800}"'
            packet = line.packet._replace(hostname=f"host{stream}", text=text)
            whole += joiner.add(replace(line, packet=packet, frame=text.encode()))
    assert [len(one.parts) for one in whole] == [1_020] * 6
    assert joiner.waiting == []


def test_the_fixture_compares_whole_lines():
    """Their pairs, and their metrics, which stand in one packet only."""
    text = "x" * 30_000
    with LogplexCapture(["capture"], formatter=FORMATTER) as capture:
        logging.getLogger("capture").info("hello", extra={"ua": text})
        line = capture.wait_for(ua=text)
        assert len(line.parts) > 3
        assert capture.wait_for(1) == line
        assert [pairs["ua"] for pairs in capture.pairs] == [text]
        with pytest.raises(AssertionError, match="number 2"):
            capture.wait_for(2, timeout=0.01)
        assert capture.faults() == ""
