"""The AWS Lambda example, run by Lambda's own runtime client against a local runtime API."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from logplex_handler.testing import LogplexReceiver
from tests.docs.blocks import EXAMPLES


class RuntimeApi(ThreadingHTTPServer):
    """Gives one event after the other, and asks `at_answer` when the answer comes."""

    daemon_threads = True

    def __init__(self, events, at_answer):
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.events = list(enumerate(events))
        self.at_answer = at_answer
        self.failed = []
        self.finished = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Conversation(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if not self.server.events:
            # As Lambda does: the machine is frozen until there is another event.
            self.server.finished.set()
            threading.Event().wait(100)
        number, event = self.server.events.pop(0)
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", f"request-{number}")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() + 60) * 1000))
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-0-0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:function:shop")
        self._end(json.dumps(event).encode())

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if re.search(r"/invocation/[^/]+/response$", self.path):
            self.server.at_answer(body)
        else:
            self.server.failed.append(body)
        self.send_response(202)
        self._end(b"")

    def _end(self, body):
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_all_has_arrived_when_the_answer_is_given():
    """So that it does not matter that the machine is frozen then, or taken away."""
    seen = []
    with LogplexReceiver() as logplex:
        runtime = RuntimeApi(
            [{"order_id": 42}, {"order_id": 43}],
            lambda answer: seen.append((answer, len(logplex.lines))),
        )
        function = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", "shop.handler"],
            cwd=EXAMPLES / "aws_lambda",
            env=os.environ
            | {
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime.server_port}",
                "LAMBDA_TASK_ROOT": str(EXAMPLES / "aws_lambda"),
                "LOGPLEX_URL": logplex.url,
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert runtime.finished.wait(100)
        finally:
            function.send_signal(signal.SIGKILL)
            _, said = function.communicate(timeout=100)
            runtime.shutdown()
            runtime.server_close()
        lines = [line.text for line in logplex.lines]
    assert not runtime.failed, runtime.failed
    assert seen == [(b'"shipped"', 1), (b'"shipped"', 2)], said
    assert lines == [
        f'level=info logger=shop msg="order shipped" order_id={number}' for number in (42, 43)
    ]
