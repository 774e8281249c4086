"""`logplex-handler check` names each fault in words, and never shows the token."""

from __future__ import annotations

import socket
import ssl
import sys

import pytest
import trustme

from logplex_handler.cli._commands import parser
from logplex_handler.testing import LogplexReceiver
from tests.commands import call, run, run_in_shell
from tests.servers import NO_CONTENT, ScriptedServer, answer

SECRET = "t.01234567-89ab-cdef-0123-456789abcdef"


def check(url, *arguments, command=call, **environ):
    done = command("check", "--timeout", "60", *arguments, url=url, environ=environ)
    shown = done.stdout.decode() + done.stderr.decode()
    assert SECRET not in shown
    assert "Traceback" not in shown
    return done.returncode, shown


def test_a_closed_stdout_is_no_trouble(logplex):
    """Only the status is wanted."""
    assert run_in_shell("COMMAND check >&-", logplex.url).returncode == 0
    assert len(logplex.lines) == 1


def test_a_good_url_is_tried_with_a_line():
    """Each step is reported, and the line arrives."""
    with LogplexReceiver(tokens=[SECRET]) as logplex:
        status, shown = check(
            logplex.url, command=run, LOGPLEX_HOSTNAME="shop", LOGPLEX_PROCID="web.1"
        )
        assert logplex.wait_for(1)
        assert not logplex.violations
    assert status == 0, shown
    assert shown.splitlines()[-1] == "logs would arrive"
    for step in (
        "ok   URL",
        "ok   packets: come from app[web.1] of shop",
        "ok   DNS",
        "answered 204",
    ):
        assert step in shown
    assert "hostname:" not in shown
    assert "hint user agent" in shown


def test_without_a_line_nothing_is_sent():
    """For a stream that a customer looks at."""
    with LogplexReceiver() as logplex:
        assert check(logplex.url, "--no-line")[0] == 0
        assert not logplex.requests


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "LOGPLEX_URL is not set"),
        (f"token:{SECRET}@host", "must begin with https://"),
        (f"http://token:{SECRET}@logs.example.com", "https://, or set --allow-http"),
        ("null", "apps of the Fir generation"),
        ("https://logs.example.com/logs", "carries no credentials"),
        (f"https://token:{SECRET}@no-such-host.invalid/logs", "has no address"),
    ],
)
def test_a_url_that_cannot_work_is_told_by_its_fault(url, words):
    """The message says what to do."""
    status, shown = check(url)
    assert status == 1
    assert words in shown
    assert shown.splitlines()[-1] == "logs would not arrive"


def test_other_variables_are_looked_at_too():
    """The variable is named."""
    status, shown = check(f"http://token:{SECRET}@127.0.0.1:1", LOGPLEX_PROCID="router")
    assert status == 1
    assert "FAIL LOGPLEX_PROCID: 'router'" in shown


def test_a_port_where_nobody_listens():
    """The message names host and port."""
    with socket.socket() as bound:
        # Taken, so that nobody else may listen there meanwhile.
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        status, shown = check(f"http://token:{SECRET}@127.0.0.1:{port}")
    assert status == 1
    assert f"cannot connect to 127.0.0.1 port {port}" in shown


def test_allow_http_is_an_option_here_too(elsewhere):
    """As the error says that a URL of another machine needs it."""
    status, shown = check(elsewhere.url, "--allow-http")
    assert status == 0, shown
    assert len(elsewhere.lines) == 1


@pytest.mark.parametrize("status", [404, 405])
def test_a_wrong_path_is_named(status):
    """Logplex has one path; the credentials are not at fault."""
    server = ScriptedServer([answer(status)])
    try:
        _, shown = check(f"http://token:{SECRET}@127.0.0.1:{server.port}/log")
    finally:
        server.close()
    assert f"answered {status}: there is no log stream at the path /log" in shown
    assert "The path of Logplex is /logs" in shown
    assert "rotates" not in shown


@pytest.mark.parametrize(
    ("code", "words", "cure"),
    [
        (401, "not, or no longer, good", "Look the URL up again"),
        (410, "the stream is gone", "Look the URL up again"),
        (302, "it redirects", "Look the URL up again"),
        (400, "does not understand", "drain token"),
        (415, "does not take application/logplex-1", "/logs"),
        (429, "too many requests", "Wait"),
        (503, "in trouble", "Try again later"),
        (418, "does not give", "application/logplex-1"),
    ],
)
def test_each_answer_is_explained(code, words, cure):
    """With a cure."""
    server = ScriptedServer([answer(code)])
    try:
        status, shown = check(f"http://token:{SECRET}@127.0.0.1:{server.port}/logs")
    finally:
        server.close()
    assert status == 1
    assert f"answered {code}" in shown
    assert words in shown
    assert cure in shown


def tls_server(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return ScriptedServer([lambda connection: connection.sendall(NO_CONTENT)], tls=context)


def test_tls_is_tried_apart(tmp_path):
    """A CA that is not trusted, one that is, and a port that speaks no TLS."""
    ca = trustme.CA()
    bundle = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(bundle))
    server = tls_server(ca.issue_cert("127.0.0.1"))
    url = f"https://token:{SECRET}@127.0.0.1:{server.port}/logs"
    try:
        status, shown = check(url, "--no-line")
        assert status == 1
        assert "FAIL TLS: the certificate is not trusted" in shown
        assert "REQUESTS_CA_BUNDLE" in shown
        status, shown = check(url, "--no-line", REQUESTS_CA_BUNDLE=str(bundle))
        assert (status, "ok   TLS: TLSv1" in shown) == (0, True), shown
        status, shown = check(url, REQUESTS_CA_BUNDLE=str(tmp_path / "none"))
        assert "cannot be read" in shown
    finally:
        server.close()
    with LogplexReceiver(tokens=[SECRET]) as logplex:
        # It waits for more of what is no request to it.
        status, shown = check(logplex.url.replace("http://", "https://"), "--timeout", "2")
    assert status == 1
    assert "does not speak TLS" in shown


HTTPS = f"https://token:{SECRET}@logs.example.com/logs"


def test_behind_a_proxy_only_the_line_is_tried():
    """Names and connections are the proxy's affair then, and its credentials stay hidden."""
    server = ScriptedServer([answer(407)])
    try:
        proxy = f"http://user:{SECRET}@127.0.0.1:{server.port}"
        status, shown = check(HTTPS, HTTPS_PROXY=proxy)
    finally:
        server.close()
    assert status == 1
    assert "requests go through 127.0.0.1, which HTTPS_PROXY names" in shown
    assert "no answer (ProxyError)" in shown
    assert "does it want credentials" in shown


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_that_is_not_there_is_named_with_its_variable(name):
    """And how to do without it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        status, shown = check(HTTPS, **{name: f"http://user:{SECRET}@127.0.0.1:{port}"})
    assert status == 1
    assert f"FAIL proxy: cannot connect to 127.0.0.1 port {port}, which {name} names" in shown
    assert f"Correct or unset {name}" in shown
    assert "NO_PROXY=logs.example.com" in shown


@pytest.mark.parametrize("proxy", ["http://s3cret:x@[::1", "http://s3cret:x@host:y", "http://"])
def test_a_proxy_that_is_none_is_named(proxy):
    status, shown = check(HTTPS, HTTPS_PROXY=proxy)
    assert status == 1
    assert "HTTPS_PROXY names no proxy" in shown
    assert "s3cret" not in shown


def test_a_proxy_that_needs_another_package_is_explained(monkeypatch):
    """SOCKS, where PySocks is not installed."""
    monkeypatch.setitem(sys.modules, "socks", None)
    status, shown = check(HTTPS, HTTPS_PROXY="socks5://127.0.0.1:1080")
    assert status == 1
    assert "HTTPS_PROXY names a SOCKS proxy" in shown
    assert "requests[socks]" in shown


SETTINGS = """
import logging, os
from logplex_handler import LogplexHandler
logging.basicConfig(level="INFO", handlers=[LogplexHandler()])
def quiet():
    logging.getLogger("shop").setLevel("ERROR")
def filtered():
    logging.getLogger().handlers[0].addFilter(logging.Filter("shop"))
def ends():
    raise SystemExit(0)
def broken():
    raise RuntimeError(os.environ["LOGPLEX_URL"])
"""


@pytest.mark.parametrize(
    ("setup", "status", "words"),
    [
        ("settings", 0, "ok   logger: records of 'shop' reach a handler that delivers"),
        ("settings:quiet", 1, "FAIL logger: the logger 'shop' has the level ERROR"),
        ("settings:broken", 1, "FAIL set-up: settings:broken raises RuntimeError"),
        ("settings:ends", 1, "FAIL set-up: settings:ends raises SystemExit"),
        ("settings:filtered", 0, "hint logger: the LogplexHandler of the root logger has filters"),
        ("nowhere", 1, "FAIL set-up: nowhere raises ModuleNotFoundError"),
        (None, 1, "FAIL logger: this process has no LogplexHandler"),
    ],
)
def test_what_stands_between_a_logger_and_its_handler(tmp_path, monkeypatch, setup, status, words):
    """The program's own set-up runs first; the URL is tried as well."""
    (tmp_path / "settings.py").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    more = () if setup is None else ("--setup", setup)
    with LogplexReceiver(tokens=[SECRET]) as logplex:
        done, shown = check(logplex.url, "--logger", "shop", *more, command=run)
    assert words in shown
    assert ("reach a handler" in shown) == words.startswith("ok ")
    assert ("logs may arrive" in shown) == words.startswith("hint ")
    assert "answered 204" in shown
    assert done == status


def test_a_set_up_without_a_logger_is_a_mistake():
    """Nothing would look at what it has set up."""
    done, shown = check("http://a:b@127.0.0.1:1", "--setup", "settings", command=run)
    assert done == 2
    assert "--setup needs --logger" in shown


@pytest.mark.parametrize("setup", ["", ":", "settings:", ":quiet", "./settings", "a:b:c"])
def test_a_set_up_that_names_no_module_is_a_mistake(setup, capsys):
    """With the form, and an example."""
    with pytest.raises(SystemExit):
        parser().parse_args(["check", "--logger", "shop", "--setup", setup])
    assert "must be MODULE or MODULE:FUNCTION, as django:setup" in capsys.readouterr().err
