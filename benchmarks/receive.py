"""What `logplex-handler receive --web` carries: lines per CPU second, and how soon a page has them.

    python benchmarks/receive.py [--lines 100000]

It starts the command, opens the page's stream of events as a browser does, posts requests of 500
lines of five apps, and waits until the page has every line. Then it opens a second stream, as a
page that is opened late, and measures when its first lines and all of its lines have come. The CPU
time is that of the command's process.

A CPU second of one hour is not that of another where machines are shared. So a fixed piece of pure
Python runs between the requests, and the lines are also counted in its runs, which the hour does
not change. To compare two versions, compare these numbers.
"""

from __future__ import annotations

import argparse
import http.client
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64encode
from pathlib import Path

_BATCH = 500
_TEXTS = (
    'level=info logger=shop.orders msg="order shipped" order_id={n} city=berlin amount=12.5',
    "level=info logger=shop.web at=info method=GET path=/orders/{n} status=200 service=18ms",
    "source=us-east measure#web.latency={n}ms count#web.requests=1",
    'level=warning logger=shop.stock msg="stock is low" item=shoes-{n} left=3',
    "Listening on 0.0.0.0:{n}, started by worker 7 of the web process, ready for requests",
)


def bodies(lines: int) -> list[bytes]:
    """Return the bodies of requests with `lines` lines in all."""
    made = []
    for first in range(0, lines, _BATCH):
        packets = []
        for n in range(first, min(first + _BATCH, lines)):
            minute, second = divmod(n // 1000, 60)
            text = _TEXTS[n % 5].format(n=n)
            head = f"<190>1 2026-11-21T12:{minute:02}:{second:02}.{n % 1000:06}+00:00"
            packet = f"{head} app-{first // _BATCH % 5} app web.{n % 4} - - {text}\n".encode()
            packets.append(b"%d %b" % (len(packet), packet))
        made.append(b"".join(packets))
    return made


def read(address: str, wanted: int) -> tuple[float, float]:
    """Read events until `wanted` lines came; return the seconds to the first and to the last."""
    start = time.perf_counter()
    connection = http.client.HTTPConnection(address, timeout=600)
    connection.request("GET", "/api/events")
    answer = connection.getresponse()
    first = 0.0
    lines, event = 0, b""
    while lines < wanted:
        line = answer.readline()
        if line.startswith(b"event:"):
            event = line
        elif line.startswith(b"data:"):
            count = line.count(b'"x":')
            first = first or (time.perf_counter() - start if count else 0.0)
            # What is sent at first comes again in its order.
            if b"recent" not in event:
                lines += count
            event = b""
    connection.close()
    return first, time.perf_counter() - start


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise SystemExit(f"no {pattern} in {text!r}")
    return match[1]


def yardstick() -> float:
    """Return the CPU seconds of a fixed piece of pure Python: calls, texts, a dict and objects."""
    start = time.thread_time()
    kept: dict[str, list[tuple[str, str]]] = {}
    for n in range(5_000):
        key, _, value = _TEXTS[n % 5].format(n=n).partition("=")
        kept.setdefault(f"{key}{n % 100}", []).append((key, value.upper()))
    return time.thread_time() - start


def send(url: str, sent: list[bytes]) -> float:
    """Send the requests; return the CPU seconds of the yardstick meanwhile."""
    token, address = found("//(.*)@", url), found("@(.*)/", url)
    headers = {
        "Authorization": f"Basic {b64encode(token.encode()).decode()}",
        "Content-Type": "application/logplex-1",
        "User-Agent": "benchmark",
    }
    connection = http.client.HTTPConnection(address, timeout=600)
    runs = []
    for number, body in enumerate(sent):
        if number % 5 == 0:
            runs.append(yardstick())
        headers["Logplex-Frame-Id"] = str(number)
        headers["Logplex-Msg-Count"] = str(body.count(b"<190>1"))
        connection.request("POST", "/logs", body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 204:
            raise SystemExit(f"refused: {answer.status}")
    connection.close()
    return sum(runs) / len(runs)


def measure(process: subprocess.Popen[str], page: str, url: str, lines: int) -> None:
    reader = threading.Thread(target=read, args=(page, lines))
    reader.start()
    sent = bodies(lines)
    before = cpu(process.pid)
    run = send(url, sent)
    reader.join()
    used = cpu(process.pid) - before
    print(
        f"received with a page open: {lines / used:,.0f} lines per CPU second, {used:.2f} s; "
        f"{lines / used * run:,.0f} lines in the CPU time of the yardstick, {run * 1000:.1f} ms"
    )
    before = cpu(process.pid)
    first, last = read(page, lines)
    used = cpu(process.pid) - before
    print(f"opened late: first lines {first:.2f} s, all {last:.2f} s, {used:.2f} s CPU")
    memory = found(r"VmRSS:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
    print(f"memory: {int(memory) / 1024:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--lines", type=int, default=100_000)
    lines = parser.parse_args().lines
    with tempfile.TemporaryDirectory() as folder:
        url_file = Path(folder, "url")
        command = [sys.executable, "-m", "logplex_handler", "receive", "--port", "0", "--web", "0"]
        with (
            Path(folder, "out").open("wb") as out,
            subprocess.Popen(
                [*command, "--url-file", str(url_file)],
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
        ):
            try:
                page = found("http://(.*)/", process.stderr.readline() if process.stderr else "")
                while not url_file.exists():
                    time.sleep(0.05)
                measure(process, page, url_file.read_text(), lines)
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
