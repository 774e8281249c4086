"""Environment variables, and the defaults without them."""

from __future__ import annotations

import re
import socket
import sys

import pytest

from logplex_handler import KeyValueFormatter
from tests.configuration.shared import LIBRARY, PROGRAM, packet, run

SHOWN_BY = {
    "LOGPLEX_HOSTNAME": lambda line, request: line.packet.hostname,
    "HEROKU_APP_ID": lambda line, request: line.packet.hostname,
    "LOGPLEX_APPNAME": lambda line, request: line.packet.appname,
    "LOGPLEX_PROCID": lambda line, request: line.packet.procid,
    "DYNO": lambda line, request: line.packet.procid,
    "LOGPLEX_SOURCE": lambda line, request: dict(line.pairs).get("source"),
    "LOGPLEX_USER_AGENT": lambda line, request: request.headers["User-Agent"],
}
MACHINE = re.sub("[^a-z0-9.-]", "-", socket.gethostname().lower())


def shown(variable, handler, logplex):
    """The setting as the receiver sees it."""
    packet(handler, logplex)
    return SHOWN_BY[variable](logplex.lines[0], logplex.requests[0])


@pytest.mark.parametrize(
    ("variable", "value", "seen"),
    [
        ("LOGPLEX_HOSTNAME", "shop.example", "shop.example"),
        ("HEROKU_APP_ID", "01234567-89ab-cdef", "01234567-89ab-cdef"),
        ("LOGPLEX_APPNAME", "billing", "billing"),
        ("LOGPLEX_PROCID", "web.1", "web.1"),
        ("DYNO", "worker.3", "worker.3"),
        ("LOGPLEX_SOURCE", "us-east", "us-east"),
        ("LOGPLEX_USER_AGENT", "MyAddon (x)", f"MyAddon (x) {LIBRARY}"),
    ],
)
def test_a_variable_of_the_environment_is_used(logplex, make, monkeypatch, variable, value, seen):
    """Each variable sets the option of its name."""
    monkeypatch.setenv(variable, value)
    assert shown(variable, make(logplex.url), logplex) == seen


@pytest.mark.parametrize(
    ("variable", "default"),
    [
        ("LOGPLEX_HOSTNAME", MACHINE),
        ("HEROKU_APP_ID", MACHINE),
        ("LOGPLEX_APPNAME", "app"),
        ("LOGPLEX_PROCID", "shop"),
        ("DYNO", "shop"),
        ("LOGPLEX_SOURCE", None),
        ("LOGPLEX_USER_AGENT", LIBRARY),
    ],
)
@pytest.mark.parametrize("is_set", ["unset", "empty"])
def test_a_variable_that_is_unset_or_empty_leaves_the_default(
    logplex, make, monkeypatch, variable, default, is_set
):
    """The machine's name, `app`, the program's name, no source, the library's own name."""
    monkeypatch.setattr(sys, "argv", ["/srv/bin/shop.py"])
    if is_set == "empty":
        monkeypatch.setenv(variable, "")
    assert shown(variable, make(logplex.url), logplex) == default


@pytest.mark.parametrize(
    ("better", "worse"), [("LOGPLEX_HOSTNAME", "HEROKU_APP_ID"), ("LOGPLEX_PROCID", "DYNO")]
)
def test_the_package_own_variable_beats_that_of_heroku(logplex, make, monkeypatch, better, worse):
    """Which says the same of every program of the app."""
    monkeypatch.setenv(worse, "worse")
    monkeypatch.setenv(better, "better")
    assert shown(better, make(logplex.url), logplex) == "better"


@pytest.mark.parametrize(
    ("option", "variable"),
    [
        ("hostname", "LOGPLEX_HOSTNAME"),
        ("hostname", "HEROKU_APP_ID"),
        ("appname", "LOGPLEX_APPNAME"),
        ("procid", "LOGPLEX_PROCID"),
        ("procid", "DYNO"),
        ("user_agent", "LOGPLEX_USER_AGENT"),
    ],
)
@pytest.mark.parametrize("given", ["argument", ""])
def test_an_argument_beats_the_environment(logplex, make, monkeypatch, option, variable, given):
    """An empty argument is none."""
    monkeypatch.setenv(variable, "environment")
    seen = shown(variable, make(logplex.url, **{option: given}), logplex)
    assert seen.split()[0] == (given or "environment")


def test_a_url_given_beats_that_of_the_environment(logplex, make, monkeypatch):
    """Even if that one is malformed."""
    monkeypatch.setenv("LOGPLEX_URL", "not a URL")
    assert packet(make(logplex.url), logplex).text == "level=info logger=shop msg=hello"


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_url_is_none(monkeypatch, make, empty):
    """Neither as an argument nor in the environment."""
    monkeypatch.setenv("LOGPLEX_URL", empty)
    assert "inactive" in repr(make(""))


def test_a_source_given_to_a_formatter_beats_the_environment(logplex, make, monkeypatch):
    """`LOGPLEX_SOURCE` is for the formatter that is used if none is set."""
    monkeypatch.setenv("LOGPLEX_SOURCE", "environment")
    handler = make(logplex.url)
    handler.setFormatter(KeyValueFormatter(source="argument"))
    assert packet(handler, logplex).text == "source=argument level=info logger=shop msg=hello"


@pytest.mark.parametrize("separate", [True, False])
def test_the_url_and_the_token_of_the_environment_may_stand_apart(
    logplex, make, monkeypatch, separate
):
    """`LOGPLEX_URL` with credentials, or without them and `LOGPLEX_TOKEN`."""
    url = logplex.url
    if separate:
        monkeypatch.setenv("LOGPLEX_TOKEN", f" {logplex.token}\n")
        url = re.sub("//.*@", "//", url)
    monkeypatch.setenv("LOGPLEX_URL", url)
    assert packet(make(), logplex).text == "level=info logger=shop msg=hello"
    assert [request.status for request in logplex.requests] == [204]


def test_the_token_of_the_environment_is_for_a_url_given_too(logplex, make, monkeypatch):
    """If that carries no credentials."""
    monkeypatch.setenv("LOGPLEX_TOKEN", logplex.token)
    handler = make(re.sub("//.*@", "//", logplex.url))
    assert packet(handler, logplex).text == "level=info logger=shop msg=hello"


def test_credentials_in_the_url_beat_the_token_of_the_environment(logplex, make, monkeypatch):
    """`LOGPLEX_TOKEN` only fills a gap."""
    monkeypatch.setenv("LOGPLEX_TOKEN", "another-token")
    assert packet(make(logplex.url), logplex).text == "level=info logger=shop msg=hello"


@pytest.mark.parametrize(
    ("files", "command", "procid"),
    [
        (["shop.py"], ["shop.py"], "shop"),
        (["shop"], ["shop"], "shop"),
        (["My-Shop_2.py"], ["My-Shop_2.py"], "my.shop.2"),
        (["shop/__init__.py", "shop/__main__.py"], ["-m", "shop"], "shop"),
        (["shop/__init__.py", "shop/tasks.py"], ["-m", "shop.tasks"], "tasks"),
        (["shop/__main__.py"], ["shop"], "shop"),
        ([], ["-c", PROGRAM], "python"),
        (["router.py"], ["router.py"], "python"),
        (["___.py"], ["___.py"], "python"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "-c" not in value else None,
)
def test_the_default_procid_is_the_name_of_the_program(logplex, tmp_path, files, command, procid):
    """However Python runs it; `python` if it has no usable name."""
    for file in files:
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("" if path.name == "__init__.py" else PROGRAM)
    if not command[0].startswith("-"):
        command = [tmp_path / command[0]]
    run(*command, LOGPLEX_URL=logplex.url, PYTHONPATH=str(tmp_path))
    (line,) = logplex.lines
    assert line.packet.procid == procid


def test_the_default_procid_is_no_option_of_python(logplex, tmp_path):
    """A package that sets up logging as it is imported by `python -m` is no program named `m`."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text(PROGRAM)
    (tmp_path / "shop" / "__main__.py").write_text("")
    run("-m", "shop", LOGPLEX_URL=logplex.url, PYTHONPATH=str(tmp_path))
    (line,) = logplex.lines
    assert line.packet.procid in ("shop", "python")
