"""What is fed with any bytes, and what must hold then; an exception that comes out is a finding."""

from __future__ import annotations

import logging
import re
import socket
from contextlib import suppress
from typing import cast

from logplex_handler import KeyValueFormatter, LogplexHandler
from logplex_handler._formatting.codec import Codec
from logplex_handler._formatting.long_lines import parts
from logplex_handler._transport.answer import retry_after
from logplex_handler._wire.packet import PacketForm
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler.arguments import Arguments
from logplex_handler.handler.options import resolve
from logplex_handler.streams import Destination
from logplex_handler.testing._http_connection import (
    HttpConnection,
    HttpRequest,
    UnreadableRequest,
)
from logplex_handler.testing._text_parser import parse_metric, parse_pairs
from logplex_handler.testing._verdict import as_shown, judge
from logplex_handler.testing.wire_parser import Malformed, parse_packet, split_frames
from tests import strict
from tests.logs import RESERVED

_FORM = PacketForm("host", "app", "web.1", 23, True, 2_048)
_METRIC = re.compile("(measure|sample|count)#")
# The defaults of the handler's options.
_GIVEN = {"url": None, **(LogplexHandler.__init__.__kwdefaults__ or {})}
_TOKEN = "t.fuzzed-token"


def _texts(data: bytes) -> list[str]:
    """Any texts, lone surrogates among them."""
    return [part.decode("utf-8", "surrogateescape") for part in data.split(b"\xfe")]


_DESTINATION = Destination("http://127.0.0.1/logs", "token", "t.0")


def _read(body: bytes) -> str:
    """The text of all packets, strictly read."""
    return "".join(strict.packet(frame).text for frame in strict.frames(body))


def formatter(data: bytes) -> None:
    """Whatever the template, arguments and extras: one line, with as many pairs as there are."""
    template, *rest = _texts(data)
    args, extra = rest[::2], rest[1::2]
    extra = [name for name in extra if name not in RESERVED]
    record = logging.getLogger("fuzz").makeRecord(
        "fuzz", 20, "x.py", 1, template, tuple(args), None, "f", dict.fromkeys(extra, template)
    )
    for exceptions in ("inline", "lines"):
        line = KeyValueFormatter(exceptions=exceptions).format(record)  # type: ignore[arg-type]
        frames = _FORM.frames(record.created, 20, line, parts)
        (pairs,) = strict.lines(map(_read, frames))
        assert pairs[:2] == [("level", "info"), ("logger", "fuzz")]
        own = len(set(extra))
        assert len(pairs) >= 2 + own
        # Written from its values, later, it is the same.
        entries = Codec(_FORM, KeyValueFormatter(exceptions=exceptions))  # type: ignore[arg-type]
        (rendered,) = entries.render([entries.entry(record, None)[0]], _DESTINATION)
        later = rendered if isinstance(rendered, list) else [rendered]
        assert later == frames
        # A template may hold pairs, and metrics, of its own; what is given beside it, none.
        assert not [key for key, _ in pairs[len(pairs) - own :] if _METRIC.match(key)]


def packet(data: bytes) -> None:
    """Whatever the text, time and level: packets that can be read, and join to it."""
    for number, text in enumerate(_texts(data)):
        created = float(number * 10**9) - 1e9
        _read(b"".join(_FORM.frames(created, number * 10 - 5, text)))


def url(data: bytes) -> None:
    """A URL is taken apart, or refused by an error that names the option and quotes nothing."""
    text = data.decode("utf-8", "surrogateescape")
    secret = "planted-secret"
    for candidate in (text, f"https://{text}", f"https://token:{secret}{text}@host/logs"):
        said = "url: "
        try:
            destination = Destination.from_url(candidate)
        except ConfigurationError as error:
            said = str(error)
        else:
            assert not re.search("[\r\n]", destination.endpoint)
            assert "@" not in destination.host
            destination.token.encode()
        assert said.startswith("url: ")
        assert secret not in said


def options(data: bytes) -> None:
    """Header options are taken, or refused; none that is taken can forge a header."""
    name, *values = _texts(data)
    value = values[0] if values else name
    given = {**_GIVEN, "headers": {name: value}, "user_agent": value, "appname": value}
    with suppress(ConfigurationError):
        resolved = resolve(cast(Arguments, given), {}, machine=name, program=value)
        for key, header in resolved.transport.headers.items():
            assert not re.search(r"[\x00-\x08\x0a-\x1f\x7f-\U0010ffff]", f"{key}{header}")
        assert re.fullmatch("[a-z0-9.-]+", resolved.packet.appname)
        assert re.fullmatch("[a-z0-9.-]+", resolved.packet.hostname)


def answers(data: bytes) -> None:
    """Whatever a receiver asks for, it is a wait of up to ten minutes, or none."""
    seconds = retry_after(data.decode("latin-1"), 1e9)
    assert seconds is None or 0 <= seconds <= 600


def receiver(data: bytes) -> None:
    """Whatever a sender sends, it is read and judged, or refused."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data[:60_000])
        theirs.shutdown(socket.SHUT_WR)
        conversation = HttpConnection(ours, 1.0)
        with suppress(UnreadableRequest):
            while request := conversation.read():
                judge(request, [_TOKEN].__contains__, strict=True)


def body(data: bytes) -> None:
    """Whatever the body of a request is, plain or as gzip, it is judged and shown."""
    for encoding in ("identity", "gzip"):
        headers = {"Content-Length": "1", "Content-Encoding": encoding}
        verdict = judge(
            HttpRequest("POST", "/logs", "HTTP/1.1", headers, data), [].__contains__, strict=True
        )
        assert verdict.answer.status in range(200, 600)
        for frame in verdict.frames:
            as_shown(frame, _TOKEN)


def parser(data: bytes) -> None:
    """Whatever is parsed, it is understood or malformed."""
    with suppress(Malformed):
        for frame in split_frames(data):
            parse_pairs(parse_packet(frame).text)
    with suppress(Malformed):
        parse_packet(data)
    text = data.decode("utf-8", "replace")
    with suppress(Malformed):
        for key, value in parse_pairs(text):
            with suppress(Malformed):
                parse_metric(key, value)


TARGETS = {
    target.__name__: target
    for target in (formatter, packet, url, options, answers, receiver, body, parser)
}
