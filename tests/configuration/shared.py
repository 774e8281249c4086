"""Records, URLs and programs that the configuration's tests share."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path

import logplex_handler
from logplex_handler._process.version import __version__

PACKAGE = Path(logplex_handler.__file__).parent
LIBRARY = f"logplex_handler/{__version__}"
VARIABLES = (
    "LOGPLEX_URL",
    "LOGPLEX_TOKEN",
    "LOGPLEX_HOSTNAME",
    "LOGPLEX_APPNAME",
    "LOGPLEX_PROCID",
    "LOGPLEX_SOURCE",
    "LOGPLEX_SPOOL",
    "LOGPLEX_USER_AGENT",
    "HEROKU_APP_ID",
    "DYNO",
)
# Never sent to: for what is decided before anything is sent.
USER, TOKEN = "us3r-n4me", "t0ken-t0ken-t0ken"
URL = f"https://{USER}:{TOKEN}@logplex.example/logs"
DRAIN_TOKEN = "s3cret-s3cret"
# An int that no float can hold.
HUGE = 10**400

PROGRAM = """
from logplex_handler import LogplexHandler
handler = LogplexHandler(timeout=60, shutdown_timeout=60)
import logging
logging.getLogger().addHandler(handler)
logging.warning("hello")
"""


def record(message="hello", *args, level=logging.INFO, **attributes):
    made = logging.LogRecord("shop", level, __file__, 1, message, args, None)
    made.__dict__.update(attributes)
    return made


def packet(handler, logplex, made=None):
    """The packet of the one record that the handler is given."""
    handler.handle(made or record())
    assert handler.flush()
    (line,) = logplex.lines
    assert not logplex.violations
    return line.packet


def texts(logplex):
    return [line.text for line in logplex.lines]


def delivered(logplex, count):
    """The texts, as soon as there are so many."""
    assert logplex.wait_for(count)
    assert not logplex.violations
    return texts(logplex)


def dict_config(**handler):
    """A configuration as it comes out of a JSON file."""
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"pairs": {"()": "logplex_handler.KeyValueFormatter", "source": "us-east"}},
        "filters": {"shop": {"name": "tests.shop"}},
        "handlers": {"logplex": {"class": "logplex_handler.LogplexHandler"} | handler},
        "loggers": {"tests": {"handlers": ["logplex"], "level": "DEBUG", "propagate": False}},
    }
    return json.loads(json.dumps(config))


def run(*command, **variables):
    """A Python subprocess in an environment with these variables; it must end well and quietly."""
    environ = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), variables.pop("PYTHONPATH", "")]))
    finished = subprocess.run(
        [sys.executable, *map(str, command)],
        env=environ | variables | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


def chain(error):
    """The error, its causes and its contexts."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__cause__ or error.__context__
    return seen


def told(error, *secrets):
    """The places where the error shows one of the secrets, without the secret."""
    places = {"format_exception": "".join(traceback.format_exception(error))}
    for link in chain(error):
        places[f"{type(link).__name__}'s text"] = f"{link}\n{link!r}\n{link.args!r}"
        places[f"{type(link).__name__}'s attributes"] = repr(vars(link))
        for frame, line in traceback.walk_tb(link.__traceback__):
            if Path(frame.f_code.co_filename).is_relative_to(PACKAGE):
                for name, value in frame.f_locals.items():
                    # A handler that is half made may not be able to show itself.
                    with contextlib.suppress(AttributeError):
                        where = f"{frame.f_code.co_name}, line {line}, in {name}"
                        places[where] = repr(value)
    return [place for place, text in places.items() if any(secret in text for secret in secrets)]


class Broken(logging.Formatter):
    """Raises a given exception, or returns a given value."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    def format(self, record):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result
