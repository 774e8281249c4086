"""One line each for many streams: the CPU of a request, beside HTTP clients that only send.

    python benchmarks/sparse_streams.py --streams 1500 --rounds 5

Prints the CPU of the whole process for each request, in milliseconds, and its ratio to that of a
bare urllib3 pool: for the first line of each stream (the URL is looked up), and steady (a later
line). Each measurement has a process of its own, and the rounds are interleaved. With `--pace`, the
lines are spread over that many seconds, and become due by themselves.
"""

from __future__ import annotations

import argparse
import base64
import cProfile
import http.client
import json
import logging
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import requests
import urllib3

from logplex_handler import LogplexHandler
from sinks import Sinks

LINE = "order %d shipped to %s in %dms"
_PACKET = "<190>1 2026-01-01T00:00:00.000000+00:00 host app web.1 - - level=info msg="
# Seconds after which a line has certainly become due: the default interval and the time to send.
_DUE = 1.0

Round = Callable[[], object]


def _ours(url: str, streams: int, pace: float) -> Round:
    before, _, after = url.partition("t.benchmark")
    handler = LogplexHandler(streams=lambda stream: f"{before}t.{stream}{after}")
    logger = logging.getLogger("shop.orders")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)

    def round_() -> None:
        for stream in range(streams):
            logger.info(LINE, stream, "berlin", stream % 500, extra={"logplex_stream": stream})
            time.sleep(pace)
        if pace:
            time.sleep(_DUE)
        assert handler.flush(60)

    return round_


def _bare(send: Callable[[bytes, dict[str, str]], object], streams: int, pace: float) -> Round:
    def round_() -> None:
        for stream in range(streams):
            packet = f'{_PACKET}"{LINE % (stream, "berlin", stream % 500)}"\n'.encode()
            credentials = base64.b64encode(b"token:t.%d" % stream).decode()
            headers = {
                "Authorization": f"Basic {credentials}",
                "Content-Type": "application/logplex-1",
                "Logplex-Msg-Count": "1",
                "Logplex-Frame-Id": str(uuid.uuid4()),
                "User-Agent": "benchmark",
            }
            send(b"%d %s" % (len(packet), packet), headers)
            time.sleep(pace)

    return round_


def _http_client(url: str, streams: int, pace: float) -> Round:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def send(body: bytes, headers: dict[str, str]) -> None:
        connection.request("POST", "/logs", body, headers)
        connection.getresponse().read()

    return _bare(send, streams, pace)


def _urllib3(url: str, streams: int, pace: float) -> Round:
    parts = urlsplit(url)
    pool = urllib3.HTTPConnectionPool(parts.hostname or "", parts.port, maxsize=1)

    def send(body: bytes, headers: dict[str, str]) -> None:
        pool.urlopen("POST", "/logs", body=body, headers=headers)

    return _bare(send, streams, pace)


def _requests(url: str, streams: int, pace: float) -> Round:
    parts = urlsplit(url)
    session = requests.Session()
    endpoint = f"http://{parts.hostname}:{parts.port}/logs"
    return _bare(
        lambda body, headers: session.post(endpoint, data=body, headers=headers), streams, pace
    )


SUBJECTS = {
    "urllib3": _urllib3,
    "ours": _ours,
    "requests": _requests,
    "http.client": _http_client,
}


def measure(subject: str, url: str, streams: int, pace: float, profile: str | None) -> None:
    """Print the milliseconds of CPU for each first and each later request of this process."""
    round_ = SUBJECTS[subject](url, streams, pace / streams)
    figures = {}
    for name in ("first", "steady"):
        profiler = cProfile.Profile()
        if profile == name:
            profiler.enable()
        began = time.process_time()
        round_()
        figures[name] = (time.process_time() - began) / streams * 1000
        if profile == name:
            profiler.disable()
            profiler.print_stats("tottime")
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pace", type=float, default=0.0, help="seconds of a round")
    parser.add_argument("--subjects", default=",".join(SUBJECTS))
    parser.add_argument("--measure", nargs=2, metavar=("SUBJECT", "URL"), help=argparse.SUPPRESS)
    parser.add_argument("--profile", choices=("first", "steady"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        subject, url = given.measure
        measure(subject, url, given.streams, given.pace, given.profile)
        return
    figures: dict[str, dict[str, list[float]]] = {}
    with Sinks() as sinks:
        sink = sinks["fast"]
        for _ in range(given.rounds):
            for subject in given.subjects.split(","):
                command = [sys.executable, __file__, "--measure", subject, sink.url]
                command += [f"--streams={given.streams}", f"--pace={given.pace}"]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                requests_made = sink.counted()["requests"]
                assert requests_made == 2 * given.streams, (subject, requests_made, done.stderr)
                for name, value in json.loads(done.stdout).items():
                    figures.setdefault(subject, {}).setdefault(name, []).append(value)
    print(f"{'':12} {'first':>8} {'/urllib3':>9} {'steady':>8} {'/urllib3':>9}   (ms of CPU)")
    for subject, of_subject in figures.items():
        row = f"{subject:12}"
        for name, values in of_subject.items():
            base = figures.get("urllib3", of_subject)[name]
            ratio = statistics.median(mine / its for mine, its in zip(values, base, strict=True))
            row += f" {statistics.median(values):8.3f} {ratio:9.2f}"
        print(row)


if __name__ == "__main__":
    main()
