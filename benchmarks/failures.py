"""Counts the records that handlers lose when the receiver fails; prints a Markdown table.

Each case runs in its own process. It logs 500 numbered records, one each millisecond, to a server
on loopback that first fails and then recovers. It runs until all records have arrived, for 20
seconds at most, and ends as the handler's documentation says.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import json
import logging
import re
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from peers import PEERS, installed
from subjects import ours

RECORDS = 500
# Seconds that a handler may retry, and seconds that it may take to end.
LIFE = 20
PATIENCE = 30
RESET = 0
# The server's answers to its first requests; None if it only starts after two seconds.
FAILURES: dict[str, list[int] | None] = {
    "nothing fails": [],
    "503 twice": [503, 503],
    "429 twice": [429, 429],
    "reset twice": [RESET, RESET],
    "down for 2 s": None,
    "401 twice": [401, 401],
    "400 once": [400],
}
_NUMBERED = re.compile(rb"record number (\d{6})\.")


class Receiver(ThreadingHTTPServer):
    """Fails as the case says, and then counts how often it gets each record."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, failures: list[int]) -> None:
        self.failures = failures
        self.seen: Counter[bytes] = Counter()
        # Guards both counts.
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        encoding = self.headers.get("Content-Encoding", "")
        if encoding == "gzip":
            body = gzip.decompress(body)
        elif encoding == "deflate":
            body = zlib.decompress(body)
        # watchtower first asks for a stream; that request delivers nothing.
        is_delivery = _NUMBERED.search(body) is not None
        with self.server.lock:
            status = self.server.failures.pop(0) if is_delivery and self.server.failures else 200
            if status == 200:
                self.server.seen.update(_NUMBERED.findall(body))
        if status == RESET:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def _case(handler: str, failure: str) -> dict[str, int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    failures = FAILURES[failure]
    receivers = [] if failures is None else [Receiver(port, list(failures))]
    if failures is None:
        later = threading.Timer(2, lambda: receivers.append(Receiver(port, [])))
        later.daemon = True
        later.start()
    url = f"http://token:secret@127.0.0.1:{port}/logs"
    subject = ours(url) if handler == "LogplexHandler" else PEERS[handler].make(url)
    logger = logging.getLogger("shop")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(subject.handler)
    for number in range(RECORDS):
        logger.info("record number %06d.", number)
        time.sleep(0.001)
    until = time.monotonic() + LIFE
    while time.monotonic() < until and not (receivers and len(receivers[0].seen) == RECORDS):
        time.sleep(0.1)
    ending = threading.Thread(target=subject.finish, daemon=True)
    ending.start()
    ending.join(PATIENCE)
    seen = receivers[0].seen if receivers else Counter[bytes]()
    return {"lost": RECORDS - len(seen), "twice": sum(1 for times in seen.values() if times > 1)}


def _in_a_process(handler: str, failure: str) -> str:
    command = [sys.executable, __file__, "--case", handler, failure]
    with contextlib.suppress(subprocess.TimeoutExpired):
        finished = subprocess.run(
            command, capture_output=True, text=True, timeout=LIFE + PATIENCE + 10, check=False
        )
        with contextlib.suppress(IndexError, ValueError):
            found = json.loads(finished.stdout.splitlines()[-1])
            twice = f", {found['twice']} twice" if found["twice"] else ""
            return f"{found['lost']}{twice}"
    return "no end"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", nargs=2, metavar=("HANDLER", "FAILURE"), help="one case, as JSON")
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(_case(*arguments.case)))
        return
    print(f"| lost of {RECORDS} |", " | ".join(FAILURES), "|")
    print("|---|", "---|" * len(FAILURES), sep="")
    versions = {name: version for name, version in installed().items() if name != "log-shuttle"}
    for handler, version in {"LogplexHandler": "", **versions}.items():
        cells = [_in_a_process(handler, failure) for failure in FAILURES]
        print(f"| {f'{handler} {version}'.strip()} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
