"""The example of a fleet, started by its Procfile, with a real engine."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack

from logplex_handler.testing import LogplexReceiver
from tests.commands import ROOT, call, environment
from tests.forks import Fork
from tests.logs import wait_until
from tests.relay.servers import PATIENCE
from tests.test_examples import EXAMPLES

FLEET = EXAMPLES / "fleet"
LINE = re.compile(r'level=info logger=shop msg="order shipped" order=([0-9]+)')


def orders(logplex):
    """The orders of a customer's lines, in order."""
    return [int(found[1]) for line in logplex.lines if (found := LINE.fullmatch(line.text))]


def test_the_fleet_goes_on_when_some_of_it_is_killed(server, tmp_path):
    programs = dict(line.split(": ", 1) for line in (FLEET / "Procfile").read_text().splitlines())
    assert set(programs) == {"web", "shipper"}
    shutil.copytree(FLEET, tmp_path, dirs_exist_ok=True)
    commands = {"python": [sys.executable], "logplex-handler": [sys.executable, "-m"]}
    commands["logplex-handler"].append("logplex_handler")
    with ExitStack() as ends:
        acme, globex = (ends.enter_context(LogplexReceiver()) for _ in range(2))
        customers = {"acme": acme.url, "globex": globex.url}
        (tmp_path / "customers.json").write_text(json.dumps(customers))

        def start(name, *, forked=False):
            command, *arguments = shlex.split(programs[name])
            options = {
                "cwd": tmp_path,
                "env": environment(LOGPLEX_RELAY=server.url, PYTHONPATH=str(ROOT)),
                "stderr": subprocess.PIPE,
                "text": True,
            }
            if forked:
                process = Fork(arguments, **options)
            else:
                process = subprocess.Popen([*commands[command], *arguments], **options)
            ends.callback(process.stderr.close)
            ends.callback(process.wait, PATIENCE)
            ends.callback(process.kill)
            return process

        web, other = start("web"), start("web", forked=True)
        first, second = start("shipper", forked=True), start("shipper")
        for shipper in (first, second):
            # On a busy machine it may say before that the relay does not answer.
            assert any("ships as" in line for line in shipper.stderr)
        assert wait_until(lambda: len(orders(acme)) >= 4 and len(orders(globex)) >= 4, PATIENCE)
        # One of each is killed, and the others go on.
        other.kill()
        first.kill()
        seen = max(orders(acme))
        assert wait_until(lambda: max(orders(acme)) > seen, PATIENCE)
        web.terminate()
        assert web.wait(PATIENCE) == -signal.SIGTERM
        assert web.stderr.read() == ""

        def books():
            return json.loads(call("relay", "--json", environ={"LOGPLEX_RELAY": server.url}).stdout)

        assert wait_until(lambda: books()["pushed"] == books()["delivered"] > 8, PATIENCE)
        second.terminate()
        assert second.wait(PATIENCE) == 0
        assert books()["balances"]
        assert books()["dropped"] == {}
        assert not acme.violations + globex.violations
        assert {order % 2 for order in orders(globex)} == {1}
        assert {order % 2 for order in orders(acme)} == {0}
