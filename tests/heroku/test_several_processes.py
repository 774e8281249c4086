"""Processes that share one record and meet a rotation at the same moment."""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

import pytest

from logplex_handler.heroku import _look_up
from tests.forks import Fork
from tests.heroku.shared import Partner, app_info, platform
from tests.heroku.stand_in import NEW, OLD, SECRET, UUID, Addon, standing_in

PROCESSES = 4
EXAMPLES = Path(__file__).parents[2] / "examples"
# Each begins when its standard input ends, and prints the tokens that it has found and stored. One
# of them waits for the shortest time, and the others until it has stored what it found.
PROGRAM = f"""
    import sys
    import time
    import types
    from pathlib import Path
    sys.path.insert(0, {str(EXAMPLES)!r})
    from addon_partner import Record
    from logplex_handler.heroku import PlatformAPI, _look_up
    record = Record(Path(sys.argv[1]))

    def sleep(seconds):
        while seconds and record.resource({UUID!r}).log_input_url == {OLD!r}:
            time.sleep(0.01)

    _look_up.time = types.SimpleNamespace(sleep=sleep)
    _look_up._spread = lambda: float(sys.argv[3])

    def on_rotate(stream, url):
        record.store_url(stream, url)
        print("stored", flush=True)

    api = PlatformAPI(
        record.resource, client_secret={SECRET!r}, on_tokens=record.store_tokens,
        on_rotate=on_rotate, api_url=sys.argv[2], id_url=sys.argv[2], allow_private=True,
    )
    print("ready", flush=True)
    sys.stdin.read()
    print(api.refresh({UUID!r}, {OLD!r}).token, flush=True)
"""


def test_heroku_is_asked_once_for_one_rotation(example, tmp_path):
    """Not by each process, and all have the new URL."""
    record = example.Record(tmp_path / "customers.sqlite")
    record.add(example.Provision.from_json({"uuid": UUID, "log_input_url": OLD}))
    record.store_tokens(UUID, example.Tokens("access-0", "refresh-0"))
    with standing_in() as heroku:
        heroku.addons[UUID] = Addon({"app-1": NEW})
        command = ["-c", textwrap.dedent(PROGRAM), str(tmp_path / "customers.sqlite"), heroku.url]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        processes = [
            Fork([*command, str(number)], env=os.environ, **pipes) for number in range(PROCESSES)
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.close()
        printed = [process.stdout.read().split() for process in processes]
        for process in processes:
            process.stdout.close()
        assert [process.wait(100) for process in processes] == [0] * PROCESSES
        assert [words[-1] for words in printed] == ["t.new-secret"] * PROCESSES
        assert len(heroku.looked_up) == 1
        assert sum(words.count("stored") for words in printed) == 1
    assert record.resource(UUID).log_input_url == NEW


@pytest.mark.parametrize("made", [platform, app_info])
def test_a_record_that_changes_during_the_wait_is_believed(monkeypatch, made):
    """Heroku is not asked, and nothing is stored."""
    partner = Partner()

    def spread():
        partner.on_rotate("another process", NEW)
        return 0.0

    monkeypatch.setattr(_look_up, "_spread", spread)
    # Nobody answers there.
    found = made(partner, api_url="http://127.0.0.1:1").refresh(1, OLD)
    assert (found.token, partner.rotated) == ("t.new-secret", [("another process", NEW)])


def test_the_waits_are_short_and_differ(monkeypatch):
    """A flush, or an exit, waits no longer than that for a new URL."""
    monkeypatch.setattr(_look_up, "_MAX_SPREAD", 2.0)
    waits = [_look_up._spread() for _ in range(1000)]
    assert all(0 <= wait <= 2 for wait in waits)
    assert len({round(wait, 1) for wait in waits}) > 10
