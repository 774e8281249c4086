"""A relay with shippers that are real processes: what it saves, costs, and how late lines are.

    python benchmarks/relay.py --fleet

Starts a redis-server and receivers of its own. Prints the CPU of a shipper beside that of a handler
which sends the same lines itself; the CPU of an idle shipper; the requests of 20 processes for
2,000 customers, with and without a relay; and how late lines arrive while one customer's host hangs
and ten customers are refused, and without these.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from logplex_handler import LogplexHandler
from logplex_handler._relay.chunk import Chunk
from logplex_handler._relay.redis_engine import RedisEngine

PARTS = ("cost", "idle", "saved", "lateness")
_HERE = Path(__file__).parent
# Seconds that anything may take.
_PATIENCE = 300
_NUMBER = re.compile(rb"order ([0-9]+)\n")
_FLEET = 20
_CUSTOMERS = 2_000
# What happens to a customer is logged by so many processes, a line each, within a second; and how
# often something happens, in a second.
_LINES = 10
_EVENTS = 20
_PROGRAM = """
import logging, sys, time
from logplex_handler import LogplexHandler
from relay_fleet import url_for
streams, lines = int(sys.argv[1]), int(sys.argv[2])
handler = LogplexHandler(streams=url_for, workers=16, max_buffer_bytes=400_000_000)
handler.setFormatter(logging.Formatter("%(message)s"))
logger = logging.Logger("shop")
logger.addHandler(handler)
began = time.process_time()
for number in range(lines):
    logger.info("order %d", number, extra={"logplex_stream": f"customer-{number % streams}"})
assert handler.flush(300)
print(time.process_time() - began)
"""


def url_for(customer: str) -> str:
    """The URL of a customer, for handlers and shippers: one that hangs has a host of its own."""
    name = "HANGING" if customer.startswith("hangs") else "RECEIVER"
    return f"{os.environ[name]}/{customer}"


class _Server(ThreadingHTTPServer):
    """Accepts and counts; refuses customers that are named so, and hangs if it is to.

    Attributes:
        arrived: When each numbered line came.
    """

    request_queue_size = 1024

    def __init__(self, *, hangs: bool = False) -> None:
        self.hangs = hangs
        self.requests = 0
        self.arrived: dict[int, float] = {}
        super().__init__(("127.0.0.1", 0), _Requests)

    @property
    def url(self) -> str:
        return f"http://token:t.benchmark@127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, address: object) -> None:
        """Whoever sent may have been ended."""


class _Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.hangs:
            # Until whoever sends gives up.
            self.rfile.read(1)
            self.close_connection = True
            return
        is_refused = self.path.startswith("/refused")
        if not is_refused:
            now = time.monotonic()
            self.server.requests += 1
            for number in _NUMBER.findall(body):
                self.server.arrived.setdefault(int(number), now)
        self.send_response(401 if is_refused else 204)
        if is_refused:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _receiving() -> Iterator[_Server]:
    """A receiver; another one that hangs; and both in the environment."""
    receiver, hanging = _Server(), _Server(hangs=True)
    for server in (receiver, hanging):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["RECEIVER"], os.environ["HANGING"] = receiver.url, hanging.url
    try:
        yield receiver
    finally:
        for server in (receiver, hanging):
            server.shutdown()
            server.server_close()


@contextlib.contextmanager
def _shipping(relay: str, flush_interval: float) -> Iterator[int]:
    """A shipper that owns all shards; its process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "logplex_handler", "ship", "--flush-interval", str(flush_interval)],
        env={**os.environ, "LOGPLEX_RELAY": relay, "LOGPLEX_STREAMS": "relay_fleet:url_for"},
        cwd=_HERE,
        stderr=subprocess.DEVNULL,
    )
    try:
        engine = RedisEngine(relay)
        _wait(lambda: all(one.owner for one in engine.look()))
        engine.close()
        yield process.pid
    finally:
        process.terminate()
        process.wait(_PATIENCE)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(
    relay: str, flush: Callable[[], object], *, parts: Sequence[str], seconds: float, lines: int
) -> None:
    """Measure some of `PARTS`; `flush` empties the server."""
    if "cost" in parts:
        for streams, number in ((40, lines), (lines // 25, lines // 12)):
            flush()
            _cost(relay, streams, number)
    if "idle" in parts:
        flush()
        _idle(relay, seconds)
    if "saved" in parts:
        _saved(relay, flush, seconds)
    if "lateness" in parts:
        for poisoned in (False, True):
            flush()
            _lateness(relay, seconds, poisoned=poisoned)


def _cost(relay: str, streams: int, lines: int) -> None:
    with _receiving() as receiver:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(streams), str(lines)],
            cwd=_HERE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_HERE), *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        )
        handler = float(done.stdout)
        requests = receiver.requests
        receiver.requests = 0
        receiver.arrived.clear()
        with _logging_to(relay) as log, _shipping(relay, 0.5) as shipper:
            began = _cpu(shipper)
            for number in range(lines):
                log(f"customer-{number % streams}", number)
            _wait(lambda: len(receiver.arrived) == lines)
            used = _cpu(shipper) - began
        print(
            f"{lines:,} lines of {streams:,} customers: handler {lines / handler:,.0f} lines a "
            f"CPU second ({requests:,} requests), shipper {lines / used:,.0f} "
            f"({receiver.requests:,} requests), ratio {handler / used:.2f}",
            flush=True,
        )


Log = Callable[[str, int], object]


@contextlib.contextmanager
def _logging_to(relay: str | None, number: int = 1) -> Iterator[Log]:
    """A function that logs by as many handlers in turn; all is delivered or stored at the end."""
    handlers = [
        LogplexHandler(relay=relay, max_buffer_bytes=400_000_000)
        if relay
        else LogplexHandler(streams=url_for)
        for _ in range(number)
    ]
    loggers = []
    for handler in handlers:
        handler.setFormatter(logging.Formatter("%(message)s"))
        # Each process has a logger of its own.
        loggers.append(logging.Logger("shop"))  # noqa: LOG001
        loggers[-1].addHandler(handler)

    def log(customer: str, order: int) -> None:
        extra = {"logplex_stream": customer}
        loggers[order // _EVENTS % number].info("order %d", order, extra=extra)

    yield log
    for handler in handlers:
        assert handler.flush(_PATIENCE)
        handler.close()


def _idle(relay: str, seconds: float) -> None:
    with _receiving(), _shipping(relay, 2.0) as shipper:
        before, began = _cpu(shipper), time.monotonic()
        time.sleep(seconds)
        share = (_cpu(shipper) - before) / (time.monotonic() - began)
    print(f"an idle shipper of 64 shards, as a process: {share:.2%} of a core", flush=True)


def _saved(relay: str, flush: Callable[[], object], seconds: float) -> None:
    lines = int(seconds * _EVENTS * _LINES)

    def load(log: Log) -> None:
        began = time.monotonic()
        for number in range(lines):
            event = number // (_EVENTS * _LINES) * _EVENTS + number % _EVENTS
            log(f"customer-{event * 7919 % _CUSTOMERS}", number)
            time.sleep(max(0.0, began + number * seconds / lines - time.monotonic()))

    with _receiving() as receiver:
        with _logging_to(None, _FLEET) as log:
            load(log)
        direct = receiver.requests
        receiver.requests = 0
        receiver.arrived.clear()
        flush()
        with _shipping(relay, 2.0):
            with _logging_to(relay, _FLEET) as log:
                load(log)
            _wait(lambda: len(receiver.arrived) == lines)
        relayed = receiver.requests
    print(
        f"{_FLEET} processes, {_CUSTOMERS:,} customers, {lines:,} lines, {_LINES} of a customer in "
        f"a second: {direct:,} requests, with a relay {relayed:,}",
        flush=True,
    )


def _lateness(relay: str, seconds: float, *, poisoned: bool) -> None:
    engine = RedisEngine(relay)
    sequence = 0

    def push(customer: str, number: int) -> None:
        nonlocal sequence
        sequence += 1
        packet = b"<190>1 2026-01-01T00:00:00.000000+00:00 h app web.1 - - order %d\n" % number
        frame = b"%d %b" % (len(packet), packet)
        engine.push([Chunk.of(customer, [frame], producer="p", sequence=sequence)])

    with _receiving() as receiver, _shipping(relay, 0.2):
        if poisoned:
            push("hangs", -1)
            for number in range(10):
                push(f"refused-{number}", -1)
        sent = []
        lines = int(100 * seconds)
        for number in range(lines):
            sent.append(time.monotonic())
            push(f"customer-{number % 40}", number)
            time.sleep(0.01)
        _wait(lambda: len(receiver.arrived) == lines)
        late = [receiver.arrived[number] - at for number, at in enumerate(sent)]
    quantiles = statistics.quantiles(late, n=100)
    beside = "beside a hanging and ten refused customers" if poisoned else "alone"
    print(
        f"lines of 40 customers {beside}: median {quantiles[49]:.2f} s, p99 {quantiles[98]:.2f} s",
        flush=True,
    )
    engine.close()
