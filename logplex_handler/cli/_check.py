"""The command `check`: checks the configuration and the URL, and explains what is wrong.

The token is never shown. A failed step ends the check, because later steps depend on it.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import logging
import os
import socket
import ssl
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import cast
from urllib.parse import urlsplit

import requests

from logplex_handler._transport.transport import Transport
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.packet import PacketForm
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler import LogplexHandler
from logplex_handler.handler.arguments import Arguments
from logplex_handler.handler.diagnosis import diagnose
from logplex_handler.handler.options import Options, resolve_for_process
from logplex_handler.receiver.terminal import Style

_LINE = 'level=info logger=logplex_handler msg="test line of logplex-handler check"'


@dataclass(frozen=True)
class Finding:
    """The result of one step: `good` is None for a hint; `cure` says what to do."""

    good: bool | None
    step: str
    message: str
    cure: str = ""


def run(options: argparse.Namespace) -> int:
    """Print the result of each step; return 0 if logs would arrive, 1 if not."""
    style = Style(sys.stdout)
    works = True
    of_logger = () if options.logger is None else _of_logger(options.logger, options.setup)
    for finding in chain(of_logger, _findings(not options.no_line, options.timeout)):
        works = works and finding.good is not False
        print(_shown(finding, style), flush=True)
    message = "logs may arrive" if options.no_line else "logs would arrive"
    print(style.paint(message if works else "logs would not arrive", "green" if works else "red"))
    return 0 if works else 1


def _shown(finding: Finding, style: Style) -> str:
    mark, colour = {True: ("ok  ", "green"), False: ("FAIL", "red"), None: ("hint", "yellow")}[
        finding.good
    ]
    text = f"{style.paint(mark, colour)} {style.paint(finding.step, 'bold')}: {finding.message}"
    return f"{text}\n     {finding.cure}" if finding.cure else text


def _of_logger(name: str, setup: str | None) -> Iterator[Finding]:
    """What stands between a logger and its handler, after the program's own set-up of `logging`."""
    if setup is not None:
        # Console scripts do not look for modules in the working directory, as `python -m` does.
        sys.path.insert(0, os.getcwd())
        module, _, function = setup.partition(":")
        try:
            found = importlib.import_module(module)
            if function:
                getattr(found, function)()
        except Exception as error:
            # Without the exception's text, which may hold a secret of the program.
            message = f"{setup} raises {type(error).__name__}"
            command = f"import {module}; {module}.{function}()" if function else f"import {module}"
            yield Finding(False, "set-up", message, f"See `python -c '{command}'`.")
            return
    obstacles = diagnose(name)
    for obstacle in obstacles:
        good = False if obstacle.certain else None
        yield Finding(good, "logger", obstacle.message, obstacle.cure)
    if not any(obstacle.certain for obstacle in obstacles):
        yield Finding(True, "logger", f"records of {name!r} reach a handler that delivers")


def _findings(send_line: bool, timeout: float) -> Iterator[Finding]:
    options = _configured(timeout)
    if isinstance(options, Finding):
        yield options
        return
    destination = options.destination
    if destination is None:
        cure = (
            "Set it to the stream's URL, https://token:TOKEN@HOST/logs; "
            "`logplex-handler receive` prints one to try with."
        )
        yield Finding(False, "URL", "LOGPLEX_URL is not set", cure)
        return
    yield Finding(True, "URL", f"{destination.shown}, with credentials")
    yield from _hints(urlsplit(destination.endpoint).path, options.packet)
    if proxy := _proxy(destination):
        yield Finding(None, "proxy", f"requests go through {proxy}, so only that is tried")
    else:
        for finding in _connected(destination, timeout):
            yield finding
            if not finding.good:
                return
    if send_line:
        yield _line_sent(options, destination)
    else:
        message = "not sent, so the credentials were not tried"
        cure = "Leave --no-line out: then one line is sent, which the customer sees."
        yield Finding(None, "line", message, cure)


def _configured(timeout: float) -> Options | Finding:
    """The options that a handler without arguments takes from the environment."""
    parameters = inspect.signature(LogplexHandler).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    try:
        return resolve_for_process(cast(Arguments, defaults | {"timeout": timeout}))
    except ConfigurationError as error:
        option, _, message = str(error).partition(": ")
        variable = option if option.isupper() else f"LOGPLEX_{option.upper()}"
        cure = f"Correct {variable}."
        if variable == "LOGPLEX_URL":
            cure = "It has the form https://token:TOKEN@HOST/logs, as Heroku gives it."
        return Finding(False, variable, message, cure)


def _hints(path: str, packet: PacketForm) -> Iterator[Finding]:
    shown = f"{packet.appname}[{packet.procid}] of {packet.hostname}"
    yield Finding(True, "packets", f"come from {shown}")
    if path.rstrip("/") != "/logs":
        message = f"the path is {path}; Logplex knows only /logs"
        cure = "Other receivers may have another path; from Heroku, take the whole URL."
        yield Finding(None, "path", message, cure)
    if not (os.environ.get("LOGPLEX_HOSTNAME") or os.environ.get("HEROKU_APP_ID")):
        message = "neither LOGPLEX_HOSTNAME nor HEROKU_APP_ID is set, so it is this machine's name"
        cure = "Heroku asks for the id of the app that the stream belongs to."
        yield Finding(None, "hostname", message, cure)
    if not os.environ.get("LOGPLEX_USER_AGENT"):
        message = "LOGPLEX_USER_AGENT is not set, so it is the library's name alone"
        cure = "Heroku asks add-ons to name themselves: MyAddon (https://elements.heroku.com/…)."
        yield Finding(None, "user agent", message, cure)


def _proxy(destination: Destination) -> str:
    if destination.is_loopback:
        return ""
    proxies = requests.utils.get_environ_proxies(destination.endpoint)
    proxy = requests.utils.select_proxy(destination.endpoint, proxies)
    # A proxy's URL may hold credentials of its own.
    return str(urlsplit(proxy).hostname) if proxy else ""


def _connected(destination: Destination, timeout: float) -> Iterator[Finding]:
    parts = urlsplit(destination.endpoint)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        message = f"{host} has no address ({error.strerror or type(error).__name__})"
        cure = "Is the host's name right, and is there a network and a name server?"
        yield Finding(False, "DNS", message, cure)
        return
    addresses = ", ".join(dict.fromkeys(str(one[4][0]) for one in found))
    yield Finding(True, "DNS", f"{host} is {addresses}")
    try:
        connection = socket.create_connection((host, port), timeout=timeout)
    except OSError as error:
        why = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        message = f"cannot connect to {host} port {port} ({why})"
        cure = "Is the receiver running there, is the port right, and does a firewall let you out?"
        yield Finding(False, "connection", message, cure)
        return
    with connection:
        yield Finding(True, "connection", f"to {host} port {port}")
        if parts.scheme == "https":
            yield _tls(connection, host)


def _tls(connection: socket.socket, host: str) -> Finding:
    bundle = (
        os.environ.get("REQUESTS_CA_BUNDLE")
        or os.environ.get("CURL_CA_BUNDLE")
        or requests.utils.DEFAULT_CA_BUNDLE_PATH
    )
    try:
        is_directory = os.path.isdir(bundle)
        context = ssl.create_default_context(
            cafile=None if is_directory else bundle, capath=bundle if is_directory else None
        )
    except OSError:
        message = "the CA bundle that REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names cannot be read"
        return Finding(False, "TLS", message, "Correct or unset it.")
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            return Finding(True, "TLS", f"{secured.version()}, the certificate is trusted")
    except ssl.SSLCertVerificationError as error:
        message = f"the certificate is not trusted: {error.verify_message}"
        cure = (
            "Is the host's name right? For a CA of your own set REQUESTS_CA_BUNDLE; "
            "certificates are always verified."
        )
    except OSError as error:
        message = f"the other side does not speak TLS as it should ({type(error).__name__})"
        cure = "Is it a port for https? For a receiver on this machine the URL begins with http://."
    return Finding(False, "TLS", message, cure)


def _line_sent(options: Options, destination: Destination) -> Finding:
    (frame,) = options.packet.frames(time.time(), logging.INFO, _LINE)
    transport = Transport(options.transport)
    answer = transport.post(destination, frame, frames=1, frame_id=str(uuid.uuid4()))
    transport.close()
    if answer.status is None:
        message = f"no answer ({answer.failure})"
        return Finding(False, "test line", message, "Try again; is a proxy or firewall in between?")
    if 200 <= answer.status < 300:
        return Finding(True, "test line", f"answered {answer.status}: {_LINE}")
    message, cure = _OF_STATUS.get(answer.status) or _OF_CLASS.get(answer.status // 100, _UNKNOWN)
    return Finding(False, "test line", f"answered {answer.status}: {message}", cure)


_LOOK_UP = "Look the URL up again (log_input_url); it changes when Heroku rotates credentials."
_OF_STATUS = {
    401: ("the credentials are not, or no longer, good", _LOOK_UP),
    403: ("the credentials do not open this stream", _LOOK_UP),
    404: ("there is no log stream at this path", _LOOK_UP),
    405: ("this path takes no POST", _LOOK_UP),
    410: ("the stream is gone", _LOOK_UP),
    413: ("even one line is too large for it", "Is that a receiver of application/logplex-1?"),
    415: ("it does not take application/logplex-1", "Is the path that of Logplex, /logs?"),
    429: ("too many requests", "Wait, then try again; the handler does that by itself."),
    400: (
        "it does not understand the request",
        "Vector wants a drain token: see `headers` in the README; a proxy may change the request.",
    ),
}
_OF_CLASS = {
    3: ("it redirects, which the handler does not follow", _LOOK_UP),
    5: ("it is in trouble", "Try again later; the handler retries by itself."),
}
_UNKNOWN = ("an answer that Logplex does not give", "Is that a receiver of application/logplex-1?")
