"""Checks that `cat lines | logplex-handler send` delivers every line to a failing `receive`.

    python benchmarks/pipe.py --lines 1000000 --trouble

Prints how many lines arrived, how many arrived twice, what `send` reported of the others, and its
speed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

_TOKEN = "t.made-up-for-this-run"
_TROUBLE = ("--fail", "503:0.2", "--delay", "0.05")
# Seconds between two kills of the receiver, and seconds until it restarts.
_LIFE = 4.0
_AWAY = 1.0
_LINE = "at=info method=GET path=/orders/{0} status=200 service=18ms n={0}\n"
_COMMAND = (sys.executable, "-m", "logplex_handler")


class Receiver:
    """A `receive` in a separate process, which appends its output to a file."""

    def __init__(self, port: int, shown: Path, trouble: bool) -> None:
        self._arguments = [
            *(*_COMMAND, "receive", "--port", str(port), "--token", _TOKEN),
            *(_TROUBLE if trouble else ()),
        ]
        self._port = port
        self._shown = shown
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._shown.open("ab") as file:
            self._process = subprocess.Popen(
                self._arguments, stdout=file, stderr=subprocess.DEVNULL
            )
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
                return
            time.sleep(0.05)
        raise RuntimeError("the receiver does not start")

    def end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()


def main() -> int:
    """Run the benchmark; return 1 if a line is missing that `send` did not count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--trouble", action="store_true", help="slow, failing, killed on the way")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as registry:
        return _run(Path(registry), arguments.lines, arguments.trouble)


def _run(registry: Path, count: int, trouble: bool) -> int:
    lines, shown = registry / "lines", registry / "shown"
    with lines.open("w") as file:
        file.writelines(_LINE.format(number) for number in range(count))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    receiver = Receiver(port, shown, trouble)
    receiver.start()
    done = threading.Event()
    restarts = 0

    def restart() -> None:
        nonlocal restarts
        while trouble and not done.wait(_LIFE):
            receiver.end(signal.SIGKILL)
            time.sleep(_AWAY)
            receiver.start()
            restarts += 1

    restarter = threading.Thread(target=restart)
    restarter.start()
    began = time.monotonic()
    url = f"http://token:{_TOKEN}@127.0.0.1:{port}/logs"
    with lines.open("rb") as given:
        cat = subprocess.Popen(["cat"], stdin=given, stdout=subprocess.PIPE)
        send = subprocess.Popen(
            [*_COMMAND, "send", "--verbose"],
            stdin=cat.stdout,
            stderr=subprocess.PIPE,
            env=os.environ | {"LOGPLEX_URL": url},
        )
    if cat.stdout is not None:
        cat.stdout.close()
    words = send.stderr.read().decode() if send.stderr else ""
    _, status, usage = os.wait4(send.pid, 0)
    seconds = time.monotonic() - began
    done.set()
    restarter.join()
    receiver.end(signal.SIGTERM)
    cat.wait()

    came = [int(found) for found in re.findall(rb" n=(\d+)\n", shown.read_bytes())]
    missing = count - len(set(came))
    told = re.search(r"([0-9,]+) of [0-9,]+ lines not delivered", words)
    counted = int(told[1].replace(",", "")) if told else 0
    cpu = usage.ru_utime + usage.ru_stime
    print(f"send said: {words.strip()}")
    print(
        f"lines={count} missing={missing} counted={counted} twice={len(came) - len(set(came))} "
        f"restarts={restarts} status={os.waitstatus_to_exitcode(status)}"
    )
    print(
        f"seconds={seconds:.1f} lines_per_second={count / seconds:,.0f} "
        f"cpu_seconds={cpu:.1f} lines_per_cpu_second={count / cpu:,.0f} "
        f"peak_mb={usage.ru_maxrss / 1024:.0f}"
    )
    return 0 if missing <= counted else 1


if __name__ == "__main__":
    sys.exit(main())
