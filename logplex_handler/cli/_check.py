"""The command `check`: checks the configuration and the URL, and explains what is wrong.

The token is never shown. A failed step for the URL ends the check, because later steps depend on
it. The URL is tried whatever stands between a logger and its handler.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import chain
from urllib.parse import urlsplit

from logplex_handler._transport.transport import Transport
from logplex_handler._wire.destination import Destination
from logplex_handler._wire.packet import PacketForm
from logplex_handler.cli._configuration import configured
from logplex_handler.cli._reachability import Finding, Proxy, connected
from logplex_handler.cli._relay_health import findings as of_relay
from logplex_handler.cli._wording import in_words
from logplex_handler.errors import ConfigurationError
from logplex_handler.handler.diagnosis import diagnose
from logplex_handler.handler.options import Options
from logplex_handler.receiver.style import Style

_LINE = 'level=info logger=logplex_handler msg="test line of logplex-handler check"'


def run(options: argparse.Namespace) -> int:
    """Print the result of each step; return 0 if logs would arrive, 1 if not."""
    if options.setup is not None and options.logger is None:
        options.parser.error("--setup needs --logger")
    style = Style(sys.stdout)
    works = is_certain = True
    of_logger = () if options.logger is None else _of_logger(options.logger, options.setup)
    for finding in chain(of_logger, _findings(options)):
        works = works and finding.good is not False
        is_certain = is_certain and (finding.good is not None or finding.step != "logger")
        print(_shown(finding, style), flush=True)
    is_certain = is_certain and not options.no_line
    message = "logs would arrive" if is_certain else "logs may arrive"
    print(style.paint(message if works else "logs would not arrive", "green" if works else "red"))
    return 0 if works else 1


def _shown(finding: Finding, style: Style) -> str:
    mark, colour = {True: ("ok  ", "green"), False: ("FAIL", "red"), None: ("hint", "yellow")}[
        finding.good
    ]
    text = f"{style.paint(mark, colour)} {style.paint(finding.step, 'bold')}: {finding.message}"
    return f"{text}\n     {finding.cure}" if finding.cure else text


def _of_logger(name: str, set_up: tuple[str, str] | None) -> Iterator[Finding]:
    """Yield what stands between a logger and its handler after the program has set up `logging`."""
    if set_up is not None:
        # Console scripts do not look for modules in the working directory, as `python -m` does.
        sys.path.insert(0, os.getcwd())
        module, function = set_up
        try:
            found = importlib.import_module(module)
            if function:
                getattr(found, function)()
        except (Exception, SystemExit) as error:
            # The exception's text is left out, because it may hold a secret of the program.
            call = f"; {module}.{function}()" if function else ""
            message = f"{':'.join(filter(None, set_up))} raises {type(error).__name__}"
            yield Finding(False, "set-up", message, f"See `python -c 'import {module}{call}'`.")
            return
    obstacles = diagnose(name)
    for obstacle in obstacles:
        good = False if obstacle.certain else None
        yield Finding(good, "logger", obstacle.message, obstacle.cure)
    if not obstacles:
        yield Finding(True, "logger", f"records of {name!r} reach a handler that delivers")


def _findings(arguments: argparse.Namespace) -> Iterator[Finding]:
    options = _configured(arguments)
    if isinstance(options, Finding):
        yield options
        return
    destination = options.destination
    if options.relay is not None:
        yield from of_relay(options.relay)
        if destination is None:
            return
    if destination is None:
        cure = (
            "Set it to the stream's URL, https://token:TOKEN@HOST/logs; "
            "`logplex-handler receive` prints one to try with."
        )
        yield Finding(False, "URL", "LOGPLEX_URL is not set", cure)
        return
    yield Finding(True, "URL", f"{destination.shown}, with credentials")
    yield from _hints(urlsplit(destination.endpoint).path, options.packet)
    proxy = Proxy.of(destination)
    reached = connected(destination, arguments.timeout)
    if proxy is not None:
        reached = proxy.findings(arguments.timeout)
    for finding in reached:
        yield finding
        if finding.good is False:
            return
    if not arguments.no_line:
        yield _line_sent(options, destination, proxy)
    else:
        message = "not sent, so the credentials were not tried"
        cure = "Leave --no-line out: then one line is sent, which the customer sees."
        yield Finding(None, "line", message, cure)


def _configured(arguments: argparse.Namespace) -> Options | Finding:
    """Return the options that a handler takes from the environment."""
    try:
        return configured(timeout=arguments.timeout, allow_http=arguments.allow_http)
    except ConfigurationError as error:
        variable, problem = in_words(error)
        cure = f"Correct {variable}."
        if variable == "LOGPLEX_URL":
            cure = "It has the form https://token:TOKEN@HOST/logs, as Heroku gives it."
        return Finding(False, variable, problem, cure)


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


def _line_sent(options: Options, destination: Destination, proxy: Proxy | None) -> Finding:
    (frame,) = options.packet.frames(time.time(), logging.INFO, _LINE)
    transport = Transport(options.transport)
    answer = transport.post(destination, frame, frames=1, frame_id=str(uuid.uuid4()))
    transport.close()
    if answer.status is None:
        message = f"no answer ({answer.failure})"
        cure = "Try again; is a firewall in between?"
        if proxy is not None:
            cure = (
                f"Try again. The proxy that {proxy.variable} names may be at fault: does it want "
                f"credentials, and does it let connections to {proxy.target} pass?"
            )
        return Finding(False, "test line", message, cure)
    if 200 <= answer.status < 300:
        return Finding(True, "test line", f"answered {answer.status}: {_LINE}")
    path = urlsplit(destination.endpoint).path
    if answer.status in (404, 405) and path.rstrip("/") != "/logs":
        message = f"answered {answer.status}: there is no log stream at the path {path}"
        cure = "The path of Logplex is /logs: take the whole URL as Heroku gives it."
        return Finding(False, "test line", message, cure)
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
        "Vector wants a drain token (see docs/integrations/receivers.md), or a proxy changes it.",
    ),
}
_OF_CLASS = {
    3: ("it redirects, which the handler does not follow", _LOOK_UP),
    5: ("it is in trouble", "Try again later; the handler retries by itself."),
}
_UNKNOWN = ("an answer that Logplex does not give", "Is that a receiver of application/logplex-1?")
