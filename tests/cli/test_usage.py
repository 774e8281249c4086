"""What the commands say about themselves, and about mistakes in their names and options."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys

import pytest

from logplex_handler.cli._commands import parser
from tests.commands import call, environment

COMMANDS = ["demo", "send", "check", "size", "receive", "replay"]
NEEDED = {"replay": ["file"], "size": ["--customers=1", "--lines-per-second=1"]}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_option_shows_the_usage_of_its_command(command):
    """Not that of all commands, which does not have its options."""
    done = call(command, *NEEDED.get(command, []), "--colour")
    assert done.returncode == 2
    said = done.stderr.decode()
    assert re.match(rf"usage: \S.* {command} ", said)
    assert "unrecognized arguments: --colour" in said


@pytest.mark.parametrize(
    ("typed", "meant"), [("recieve", "receive"), ("sned", "send"), ("checks", "check")]
)
def test_a_mistyped_command_is_recognized(typed, meant):
    """The error names the one that was meant."""
    done = call(typed)
    assert done.returncode == 2
    assert f"there is no command '{typed}'; did you mean '{meant}'?" in done.stderr.decode()


def test_a_mistyped_option_is_recognized():
    """The error names the one that was meant, if any is like it."""
    said = call("receive", "--steam", "acme").stderr.decode()
    assert "unrecognized arguments: --steam acme; did you mean --stream?" in said
    assert "did you mean" not in call("receive", "--frobnicate").stderr.decode()


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_a_shell_completes_commands_and_options(shell):
    """The script is made from the commands themselves."""
    pytest.importorskip("shtab")
    done = call("--completion", shell)
    assert done.returncode == 0
    assert all(word in done.stdout.decode() for word in ("receive", "customer", "grep"))


def test_a_shell_completes_the_names_of_files():
    """Of options and of arguments."""
    pytest.importorskip("shtab")
    script = call("--completion", "bash").stdout.decode()
    for argument in ("receive___record", "receive___url_file", "send___follow", "replay_pos_0"):
        assert f"_logplex_handler_{argument}_COMPGEN=_shtab_compgen_files" in script


def test_the_help_is_as_wide_as_the_terminal():
    """Except for the examples, which are copied as whole lines."""
    help_text = call("receive", "--help", environ={"COLUMNS": "60"}).stdout.decode()
    description, _, options = help_text.partition("\n\n")[2].partition("options:")
    assert 50 < max(map(len, description.splitlines())) <= 60
    assert max(map(len, options.partition("examples:")[0].splitlines())) <= 60


@pytest.mark.parametrize("typed", ["warning", "WARNING", "Warn"])
def test_a_level_may_be_short_or_in_capitals(typed):
    """As in queries and in lines."""
    for command in ("receive", "send"):
        assert parser().parse_args([command, "--level", typed]).level == "warning"


def test_sigint_ends_a_command_that_starts():
    """Without a traceback: KeyboardInterrupt in an import might even be swallowed."""
    program = """if True:
        import os, signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)

        class Interrupting:
            def find_spec(self, name, path=None, target=None):
                if name == "logplex_handler.cli._commands":
                    os.kill(os.getpid(), signal.SIGINT)

        sys.meta_path.insert(0, Interrupting())
        from logplex_handler.cli import main
        main(["demo"])
    """
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(),
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


def test_without_the_extra_completion_says_what_to_install(monkeypatch):
    """All else works without it."""
    monkeypatch.setitem(sys.modules, "shtab", None)
    done = call("--completion", "bash")
    assert done.returncode == 2
    assert b"pip install 'logplex-handler[completion]'" in done.stderr


def test_a_command_like_no_other_lists_those_that_exist():
    """Nothing is guessed."""
    said = call("frobnicate").stderr.decode()
    assert "choose from" in said
    assert "did you mean" not in said


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_has_examples_that_work(command):
    """Each is a command line with options that exist; they fit into a usual terminal."""
    done = call(command, "--help", environ={"COLUMNS": "80"})
    assert done.returncode == 0
    assert max(map(len, done.stdout.decode().splitlines())) <= 80
    examples = re.findall(
        r"logplex-handler ([^|\n]*)", done.stdout.decode().partition("examples:")[2]
    )
    assert examples
    for example in examples:
        options = parser().parse_args(shlex.split(example.partition("  #")[0]))
        assert options.command == command
