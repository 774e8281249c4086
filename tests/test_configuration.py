"""Every way to set the handler up, and what becomes of each setting, good or bad."""

from __future__ import annotations

import configparser
import contextlib
import copy
import inspect
import io
import json
import logging
import logging.config
import logging.handlers
import os
import queue
import re
import socket
import subprocess
import sys
import traceback
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

import logplex_handler
from logplex_handler import ConfigurationError, KeyValueFormatter, LogplexHandler
from logplex_handler._version import __version__
from logplex_handler.streams import Destination
from logplex_handler.testing import LogplexReceiver

PACKAGE = Path(logplex_handler.__file__).parent
VARIABLES = (
    "LOGPLEX_URL",
    "LOGPLEX_TOKEN",
    "LOGPLEX_HOSTNAME",
    "LOGPLEX_APPNAME",
    "LOGPLEX_PROCID",
    "LOGPLEX_SOURCE",
    "LOGPLEX_USER_AGENT",
    "HEROKU_APP_ID",
    "DYNO",
)
# Never sent to: for what is decided before anything is sent.
USER, TOKEN = "us3r-n4me", "t0ken-t0ken-t0ken"
URL = f"https://{USER}:{TOKEN}@logplex.example/logs"
BARE_URL = "https://logplex.example/logs"
DRAIN_TOKEN = "s3cret-s3cret"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch):
    """None of the variables is set."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def loggers():
    root = logging.getLogger()
    known = root.manager.loggerDict.values()
    return [root, *(logger for logger in known if isinstance(logger, logging.Logger))]


@pytest.fixture(autouse=True)
def _same_logging():
    """Whatever a test configures, all loggers are as before afterwards."""
    attributes = ("level", "disabled", "propagate", "handlers", "filters")
    unset = dict(zip(attributes, (logging.NOTSET, False, True, [], []), strict=True))
    before = {
        logger: {name: copy.copy(vars(logger)[name]) for name in attributes} for logger in loggers()
    }
    yield
    for logger in loggers():
        vars(logger).update(before.get(logger, unset))
        # Forgets which levels are enabled.
        logger.setLevel(logger.level)


@pytest.fixture
def logplex():
    """A receiver, and at the end no handler of a configuration that would send to it."""
    with LogplexReceiver() as receiver:
        yield receiver
        for logger in loggers():
            for handler in logger.handlers:
                if isinstance(handler, LogplexHandler):
                    handler.close()


@pytest.fixture
def make():
    """Makes a handler that is closed at the end."""
    with contextlib.ExitStack() as stack:

        def made(*args, **options):
            handler = LogplexHandler(*args, **{"flush_interval": 0.01} | options)
            stack.callback(handler.close)
            return handler

        yield made


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


def run(*command, **variables):
    """A Python subprocess in an environment with these variables; it must end well and quietly."""
    environ = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    path = os.pathsep.join(filter(None, [str(PACKAGE.parent), variables.pop("PYTHONPATH", "")]))
    finished = subprocess.run(
        [sys.executable, *map(str, command)],
        env=environ | variables | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (finished.returncode, finished.stderr) == (0, "")
    return finished.stdout


# --- Ways to set it up -------------------------------------------------------------------------


def test_a_handler_is_added_to_a_logger_like_any_other(logplex, make):
    """`addHandler` is all there is to it."""
    logger = logging.getLogger("tests.plain")
    logger.addHandler(make(logplex.url))
    logger.warning("order %d shipped", 42)
    assert delivered(logplex, 1) == ['level=warning logger=tests.plain msg="order 42 shipped"']


def test_a_handler_is_given_to_basic_config(logplex, make):
    """`basicConfig(handlers=…, force=True)` gives it a formatter of its own, which is honoured."""
    logging.basicConfig(handlers=[make(logplex.url)], level="INFO", force=True)
    logging.getLogger("tests.basic").info("hello")
    assert delivered(logplex, 1) == ["INFO:tests.basic:hello"]


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


@pytest.mark.parametrize("key", ["class", "()"])
def test_dict_config_makes_a_handler_from_json(logplex, key):
    """By `class` and by `()`, with options, formatter, level and filter."""
    config = dict_config(
        url=logplex.url, procid="web.7", level="INFO", formatter="pairs", filters=["shop"]
    )
    handler = config["handlers"]["logplex"]
    handler[key] = handler.pop("class")
    logging.config.dictConfig(config)
    logging.getLogger("tests.shop").debug("below its level")
    logging.getLogger("tests.other").info("not of its filter")
    logging.getLogger("tests.shop").info("hello")
    assert delivered(logplex, 1) == ["source=us-east level=info logger=tests.shop msg=hello"]
    assert logplex.lines[0].packet.procid == "web.7"


# Every option that JSON can hold, none with its default.
JSON_OPTIONS = {
    "hostname": "shop-1234",
    "appname": "billing",
    "procid": "web.1",
    "facility": "local3",
    "token_as_appname": False,
    "structured_data": True,
    "user_agent": "MyAddon (https://elements.heroku.com/addons/my-addon)",
    "headers": {"Logplex-Drain-Token": "d.1234"},
    "timeout": 3,
    "compress": True,
    "allow_http": True,
    "batch_size": 10,
    "max_batch_bytes": 100_000,
    "flush_interval": 0,
    "max_buffer_bytes": 1_000_000,
    "max_packet_bytes": 4_000,
    "on_full": "drop_newest",
    "shutdown_timeout": 2,
    "required": True,
}


def test_dict_config_sets_every_option(logplex):
    """All options together, from JSON, make a handler that delivers."""
    options = {"url": logplex.url, "level": "INFO", **JSON_OPTIONS}
    callables = {"session_factory", "on_drop"}
    assert set(options) | callables == set(inspect.signature(LogplexHandler).parameters)
    logging.config.dictConfig(dict_config(**options))
    logging.getLogger("tests").warning("hello")
    assert delivered(logplex, 1) == ["level=warning logger=tests msg=hello"]
    sent = logplex.lines[0].packet
    assert (sent.hostname, sent.appname, sent.procid) == ("shop-1234", "billing", "web.1")
    assert (sent.facility, sent.severity) == (19, 4)
    assert logplex.requests[0].headers["Content-Encoding"] == "gzip"


def test_dict_config_without_a_url_takes_that_of_the_environment(logplex, monkeypatch):
    """So no secret needs to stand in a configuration file."""
    monkeypatch.setenv("LOGPLEX_URL", logplex.url)
    logging.config.dictConfig(dict_config())
    logging.getLogger("tests").info("hello")
    assert delivered(logplex, 1) == ["level=info logger=tests msg=hello"]


def test_a_second_dict_config_delivers_what_the_first_one_had(logplex):
    """The first handler is flushed and closed when it is replaced; nothing is lost."""
    config = dict_config(url=logplex.url, flush_interval=60)
    logging.config.dictConfig(config)
    logging.getLogger("tests").info("first")
    logging.config.dictConfig(config)
    assert texts(logplex) == ["level=info logger=tests msg=first"]
    logging.getLogger("tests").info("second")
    logging.config.dictConfig(dict_config(url=logplex.url))
    assert texts(logplex)[1:] == ["level=info logger=tests msg=second"]


INI = """
[loggers]
keys = root, tests

[handlers]
keys = logplex

[formatters]
keys = pairs, plain

[formatter_pairs]
class = logplex_handler.KeyValueFormatter

[formatter_plain]
format = %(levelname)s|%(message)s

[handler_logplex]
class = logplex_handler.LogplexHandler
formatter = FORMATTER
level = INFO
ARGUMENTS

[logger_root]
handlers =

[logger_tests]
qualname = tests
handlers = logplex
level = DEBUG
propagate = 0
"""


def file_config(arguments, formatter="pairs"):
    text = INI.replace("FORMATTER", formatter).replace("ARGUMENTS", arguments)
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    logging.config.fileConfig(parser, disable_existing_loggers=False)


@pytest.mark.parametrize(
    "arguments",
    ["args = (URL,)\nkwargs = {'procid': 'web.7'}", "kwargs = {'url': URL, 'procid': 'web.7'}"],
    ids=["args and kwargs", "kwargs"],
)
def test_file_config_makes_a_handler(logplex, arguments):
    """With `args` and `kwargs`, a level, and the formatter by its `class`."""
    file_config(arguments.replace("URL", repr(logplex.url)))
    logging.getLogger("tests").debug("below its level")
    logging.getLogger("tests").info("hello")
    assert delivered(logplex, 1) == ["level=info logger=tests msg=hello"]
    assert logplex.lines[0].packet.procid == "web.7"


def test_file_config_without_arguments_takes_the_environment(logplex, monkeypatch):
    """An ini file needs neither `args` nor `kwargs`; its own `format` is honoured."""
    monkeypatch.setenv("LOGPLEX_URL", logplex.url)
    file_config("", "plain")
    logging.getLogger("tests").info("hello")
    assert delivered(logplex, 1) == ["INFO|hello"]


def test_a_queue_listener_delivers_what_a_queue_handler_takes(logplex, make):
    """The standard library's queue may stand in front of it; extras come through."""
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    listener = logging.handlers.QueueListener(records, make(logplex.url))
    logger = logging.getLogger("tests.queue")
    logger.addHandler(logging.handlers.QueueHandler(records))
    listener.start()
    logger.warning("order %d shipped", 42, extra={"carrier": "DHL Express"})
    listener.stop()
    assert delivered(logplex, 1) == [
        'level=warning logger=tests.queue msg="order 42 shipped" carrier="DHL Express"'
    ]


@pytest.mark.skipif(sys.version_info < (3, 12), reason="dictConfig knows queues from 3.12 on")
def test_dict_config_puts_a_queue_in_front(logplex):
    """With `logging.handlers.QueueHandler` and its `handlers`, the listener feeds this handler."""
    config = dict_config(url=logplex.url, formatter="pairs")
    config["handlers"]["queue"] = {
        "class": "logging.handlers.QueueHandler",
        "handlers": ["logplex"],
    }
    config["loggers"]["tests"]["handlers"] = ["queue"]
    logging.config.dictConfig(config)
    listener = logging.getHandlerByName("queue").listener  # type: ignore[attr-defined]
    listener.start()
    logging.getLogger("tests").info("hello")
    listener.stop()
    logging.getHandlerByName("logplex").close()  # type: ignore[attr-defined]
    assert delivered(logplex, 1) == ["source=us-east level=info logger=tests msg=hello"]


@pytest.mark.parametrize("first", ["logplex", "other"])
def test_another_handler_beside_it_is_not_disturbed(logplex, make, first):
    """In either order both write their own line, of an exception too."""
    output = io.StringIO()
    other = logging.StreamHandler(output)
    other.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    handlers = [make(logplex.url), other]
    logger = logging.getLogger("tests.beside")
    for handler in handlers if first == "logplex" else handlers[::-1]:
        logger.addHandler(handler)
    try:
        raise ValueError("oops")
    except ValueError:
        logger.exception("failed: %s", "x")
    lines = output.getvalue().splitlines()
    assert (lines[0], lines[-1]) == ("ERROR failed: x", "ValueError: oops")
    (text,) = delivered(logplex, 1)
    assert text.startswith('level=error logger=tests.beside msg="failed: x" error=ValueError')
    assert text.count("Traceback (most recent call last)") == 1


def test_a_record_is_as_before_when_the_handler_is_done_with_it(logplex, make):
    """Nothing is written into it that others would see."""
    made = record("order %d", 42, order_id=7)
    before = dict(made.__dict__)
    make(logplex.url).handle(made)
    assert made.__dict__ == before


@pytest.mark.parametrize("disable", [True, False])
def test_existing_loggers_are_disabled_as_the_configuration_says(logplex, disable):
    """`disable_existing_loggers` means what it means everywhere."""
    existing = logging.getLogger("tests_existing.orders")
    config = dict_config(url=logplex.url)
    del config["loggers"]
    config["root"] = {"handlers": ["logplex"], "level": "INFO"}
    config["disable_existing_loggers"] = disable
    logging.config.dictConfig(config)
    existing.info("from an existing logger")
    logging.getLogger("tests_made_later").info("from a later one")
    assert (
        delivered(logplex, 1 if disable else 2)
        == [
            'level=info logger=tests_existing.orders msg="from an existing logger"',
            'level=info logger=tests_made_later msg="from a later one"',
        ][1 if disable else 0 :]
    )


# --- Levels, filters and formatters --------------------------------------------------------------


@pytest.mark.parametrize("level", ["WARNING", logging.WARNING])
def test_records_below_the_level_are_not_handled(logplex, make, level):
    """A level is given by name or by number; what is below it is not in the books either."""
    handler = make(logplex.url, level=level)
    logger = logging.getLogger("tests.level")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.info("below")
    logger.warning("not below")
    assert delivered(logplex, 1) == ['level=warning logger=tests.level msg="not below"']
    assert handler.stats().accepted == 1


def test_a_record_that_a_filter_turns_away_is_not_handled(logplex, make):
    """It is neither sent nor counted, and `handle` says so."""
    handler = make(logplex.url)
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    assert not handler.handle(record("a secret"))
    assert handler.handle(record("no such thing"))
    assert delivered(logplex, 1) == ['level=info logger=shop msg="no such thing"']
    assert handler.stats().accepted == 1


def test_a_filter_may_add_extras(logplex, make):
    """What it puts into the record is in the line."""

    def add_request_id(record):
        record.request_id = "r-1"
        return True

    handler = make(logplex.url)
    handler.addFilter(add_request_id)
    assert packet(handler, logplex).text == "level=info logger=shop msg=hello request_id=r-1"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="filters replace records from 3.12 on")
def test_a_filter_may_replace_the_record(logplex, make):
    """The record that it returns is sent, and the one that the application made is left alone."""
    handler = make(logplex.url)
    masked = record("card=***")
    handler.addFilter(lambda _: masked)
    original = record("card=%s", "4111")
    assert packet(handler, logplex, original).text == "level=info logger=shop card=***"
    assert original.getMessage() == "card=4111"


@pytest.mark.parametrize(
    "formatter",
    [
        {"class": "logplex_handler.KeyValueFormatter"},
        {
            "class": "logplex_handler.KeyValueFormatter",
            "datefmt": "%H:%M",
            "style": "{",
        },
        {"()": "logplex_handler.KeyValueFormatter", "datefmt": "%H:%M", "style": "$"},
    ],
    ids=["class", "class with datefmt and style", "factory with datefmt and style"],
)
def test_dict_config_makes_the_formatter_in_both_forms(logplex, formatter):
    """What the `class` form passes beside, a format apart, changes nothing."""
    config = dict_config(url=logplex.url, formatter="pairs")
    config["formatters"]["pairs"] = formatter
    logging.config.dictConfig(config)
    logging.getLogger("tests").info("hello")
    assert delivered(logplex, 1) == ["level=info logger=tests msg=hello"]


@pytest.mark.parametrize(
    ("key", "option"), [("class", "format"), ("()", "fmt")], ids=["class", "factory"]
)
def test_a_format_for_the_key_value_formatter_is_an_error(key, option):
    """It has a form of its own; the error names `fmt`."""
    config = dict_config(url=URL, formatter="pairs")
    config["formatters"]["pairs"] = {
        key: "logplex_handler.KeyValueFormatter",
        option: "%(message)s",
    }
    with pytest.raises(ValueError, match="Unable to configure formatter 'pairs'") as caught:
        logging.config.dictConfig(config)
    assert str(caught.value.__cause__).startswith("fmt: ")


@pytest.mark.parametrize(
    ("formatter", "message", "line"),
    [
        (logging.Formatter(), "hello", "hello"),
        (logging.Formatter("%(levelname)-8s%(message)s"), "hello", "INFO    hello"),
        (logging.Formatter("{name}: {message}", style="{"), "hello", "shop: hello"),
        (logging.Formatter("$levelname/$message", style="$"), "hello", "INFO/hello"),
        (logging.Formatter(), 'as it is: "a b" c=d', 'as it is: "a b" c=d'),
        (logging.Formatter(), "tabs\tstay", "tabs\tstay"),
        (logging.Formatter(), "two\nlines\r\n", r"two\nlines\r\n"),
        (logging.Formatter(), "\x1b[31mred\x00\x7f\x85", r"\u001b[31mred\u0000\u007f\u0085"),
        (logging.Formatter(), "half \ud83d a pair", "half \ufffd a pair"),
        (logging.Formatter(), "\ufeffmark", r"\ufeffmark"),
        (logging.Formatter(), "", ""),
        (logging.Formatter(), "x\n89 <190>1 - - - - - -", r"x\n89 <190>1 - - - - - -"),
    ],
)
def test_the_text_of_any_other_formatter_is_honoured_and_made_safe(
    logplex, make, formatter, message, line
):
    """It becomes the message as it is, control characters but tab made visible."""
    handler = make(logplex.url)
    handler.setFormatter(formatter)
    assert packet(handler, logplex, record(message)).text == line


def test_a_traceback_of_another_formatter_is_one_line(logplex, make):
    """Its line breaks are made visible too, so that it stays one record."""
    handler = make(logplex.url)
    handler.setFormatter(logging.Formatter("%(message)s"))
    try:
        raise ValueError("oops")
    except ValueError:
        made = record("failed", exc_info=sys.exc_info())
    text = packet(handler, logplex, made).text
    assert text.startswith(r"failed\nTraceback (most recent call last):\n  File ")
    assert text.endswith(r"\nValueError: oops")


def test_an_object_with_a_format_method_is_a_formatter(logplex, make):
    """It need not be a `logging.Formatter`."""

    class Json:
        def format(self, record):
            return json.dumps({"msg": record.getMessage()})

    handler = make(logplex.url)
    handler.setFormatter(Json())
    assert packet(handler, logplex).text == '{"msg": "hello"}'


# --- The environment -------------------------------------------------------------------------


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
LIBRARY = f"logplex_handler/{__version__}"


def shown(variable, handler, logplex):
    """What the receiver sees of the setting."""
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
    """Each of them sets what it is named for."""
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
    """`LOGPLEX_URL` with credentials, or without them beside `LOGPLEX_TOKEN`."""
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


PROGRAM = """
from logplex_handler import LogplexHandler
handler = LogplexHandler()
import logging
logging.getLogger().addHandler(handler)
logging.warning("hello")
"""


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
    """However Python was told to run it, and `python` where it has none that can be used."""
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


# --- The packet's header -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "given", "sent"),
    [
        ("hostname", "Shop.Example.COM", "shop.example.com"),
        ("hostname", "my_host name", "my-host-name"),
        ("hostname", "h" * 300, "h" * 255),
        ("appname", "Zoë's Shop", "zo--s-shop"),
        ("appname", "a" * 60, "a" * 48),
        ("procid", "heroku-postgres", "heroku-postgres"),
        ("procid", "Web 1\n", "web-1-"),
        ("procid", "p" * 200, "p" * 128),
    ],
)
def test_a_header_field_is_made_safe(logplex, make, option, given, sent):
    """Lower case, `-` for what is not `[a-z0-9.-]`, cut to the length that RFC 5424 allows."""
    handler = make(logplex.url, **{option: given})
    assert getattr(packet(handler, logplex), option) == sent


@pytest.mark.parametrize(
    ("dyno", "sent"),
    [("Web.1", "web.1"), ("my-web_2", "my.web.2"), ("router", "python"), ("__", "python")],
)
def test_a_default_procid_holds_letters_digits_and_dots_only(
    logplex, make, monkeypatch, dyno, sent
):
    """So that every known reader takes it; one that none can be made of becomes `python`."""
    monkeypatch.setenv("DYNO", dyno)
    assert packet(make(logplex.url), logplex).procid == sent


def test_a_machine_without_a_usable_name_is_localhost(logplex, make, monkeypatch):
    """The default never is an error."""
    monkeypatch.setattr(socket, "gethostname", lambda: "___")
    assert packet(make(logplex.url), logplex).hostname == "localhost"


def test_the_token_stands_in_for_the_appname_if_asked(make):
    """As it is, in upper case too, and at no other place of the body."""
    token = "T.AbC_123~-"
    with LogplexReceiver(tokens=[token]) as logplex:
        handler = make(logplex.url, token_as_appname=True)
        packet(handler, logplex)
        body = logplex.requests[0].body_bytes
        assert body.count(f" {token} ".encode()) == body.count(token.encode()) == 1


def test_the_token_is_not_in_the_body_otherwise(logplex, make):
    """It goes with the credentials alone."""
    packet(make(logplex.url), logplex)
    assert logplex.requests[0].body_bytes.count(logplex.token.encode()) == 0, "it is"


@pytest.mark.parametrize(
    "token", ["t" * 49, "t%20t0ken-t0ken", "t0ken-t0ken-%C3%A9"], ids=["long", "space", "non-ASCII"]
)
def test_a_token_unfit_as_appname_is_an_error(token):
    """It is never altered to fit, and not shown."""
    with pytest.raises(ValueError, match=r"^token_as_appname: ") as caught:
        LogplexHandler(f"https://token:{token}@logplex.example", token_as_appname=True)
    assert not told(caught.value, token, unquote(token))


def test_an_appname_beside_the_token_as_appname_is_an_error():
    """There is room for one."""
    with pytest.raises(ValueError, match=r"^appname: "):
        LogplexHandler(URL, appname="shop", token_as_appname=True)


# --- The request ---------------------------------------------------------------------------------


def test_headers_arrive_as_given(logplex, make):
    """With every request, and later changes to the mapping that was given change nothing."""
    headers = {"Logplex-Drain-Token": "d.1234", "X-Note": "a  b\tc"}
    handler = make(logplex.url, headers=headers, user_agent="MyAddon (https://x.example/my)")
    headers["X-Note"] = "changed"
    packet(handler, logplex)
    sent = logplex.requests[0].headers
    assert sent["Logplex-Drain-Token"] == "d.1234"
    assert sent["X-Note"] == "a  b\tc"
    assert sent["User-Agent"] == f"MyAddon (https://x.example/my) {LIBRARY}"


@pytest.mark.parametrize(
    "token", ["a b/c?d#e@f:g%h&i", "50%25-off-50%25-off", "%41%42%43-%41%42%43", "ends-with-colon:"]
)
def test_credentials_may_be_percent_encoded(make, token):
    """They are sent as they were before that."""
    with LogplexReceiver(tokens=[token]) as logplex:
        packet(make(logplex.url), logplex)
        assert [request.status for request in logplex.requests] == [204]


@pytest.mark.parametrize(
    ("credentials", "sent"),
    [
        ("heroku:t0ken", ("heroku", "t0ken")),
        ("T%C3%B6m%40x:t%3A%2F", ("T\xf6m@x", "t:/")),
        ("x:x", ("x", "x")),
    ],
)
def test_the_user_name_is_sent_as_given(make, credentials, sent):
    """For receivers that know another one than Heroku's `token`."""
    seen = []

    class Recorder(HTTPAdapter):
        def send(self, request, *args, **kwargs):
            seen.append(request.headers["Authorization"])
            response = requests.Response()
            response.status_code = 204
            response.raw = urllib3.HTTPResponse(io.BytesIO())
            return response

    def session():
        made = requests.Session()
        made.mount("https://", Recorder())
        return made

    handler = make(f"https://{credentials}@logplex.example", session_factory=session)
    handler.handle(record())
    handler.flush()
    user, token = sent
    as_sent = requests.auth._basic_auth_str(user.encode(), token.encode())
    assert seen == [as_sent]


@pytest.mark.parametrize("netrc", [".netrc", "elsewhere"])
@pytest.mark.parametrize("separate", [True, False])
def test_netrc_does_not_replace_the_token(logplex, tmp_path, netrc, separate):
    """Neither `~/.netrc` nor the file that `NETRC` names, whichever form the URL has."""
    file = tmp_path / netrc
    file.write_text("machine 127.0.0.1 login someone password else\ndefault login no password no\n")
    file.chmod(0o600)
    variables = {"HOME": str(tmp_path), "LOGPLEX_URL": logplex.url}
    if separate:
        variables["LOGPLEX_URL"] = re.sub("//.*@", "//", logplex.url)
        variables["LOGPLEX_TOKEN"] = logplex.token
    if netrc != ".netrc":
        variables["NETRC"] = str(file)
    # It is a netrc that requests finds and would use.
    check = "import requests; assert requests.utils.get_netrc_auth('http://127.0.0.1/')\n"
    run("-c", check + PROGRAM, **variables)
    assert [request.status for request in logplex.requests] == [204]
    assert texts(logplex) == ["level=warning logger=root msg=hello"]


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1:8601", True),
        ("localhost", True),
        ("LOCALHOST", True),
        ("shop.localhost", True),
        ("[::1]:8601", True),
        ("logplex.example", False),
        ("127.0.0.1.logplex.example", False),
        ("localhost.logplex.example", False),
        ("notlocalhost", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("[::2]", False),
        ("[2001:db8::1]", False),
    ],
)
def test_http_beyond_this_machine_needs_allow_http(make, host, is_loopback):
    """The token would be readable on its way."""
    url = f"http://{USER}:{TOKEN}@{host}/logs"
    if is_loopback:
        make(url)
    else:
        with pytest.raises(ValueError, match=r"^url: .* allow_http$"):
            LogplexHandler(url)
    make(url, allow_http=True)
    make(url.replace("http:", "https:"))


# --- Without a URL -------------------------------------------------------------------------------


def test_without_a_url_records_are_counted_and_not_formatted(make):
    """An inactive handler costs next to nothing, and its books tell it."""
    formatted: list[logging.LogRecord] = []
    handler = make()
    handler.setFormatter(logging.Formatter())
    handler.formatter.format = formatted.append
    for _ in range(3):
        assert handler.handle(record())
    stats = handler.stats()
    assert (stats.accepted, dict(stats.dropped), formatted) == (3, {"inactive": 3}, [])
    assert handler.flush()


def test_without_a_url_it_is_said_once(make, capsys):
    """One line on stderr names the variable, however many records are logged."""
    handler = make()
    for _ in range(3):
        handler.handle(record())
    handler.flush()
    handler.close()
    handler.handle(record())
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n"), errors.count("LOGPLEX_URL")) == ("", 1, 1)
    assert errors.startswith("logplex_handler: ")


def test_without_a_url_dict_config_works(capsys):
    """As on a developer's machine."""
    logging.config.dictConfig(dict_config(formatter="pairs"))
    logging.getLogger("tests").info("hello")
    assert "LOGPLEX_URL" in capsys.readouterr().err


def test_a_required_url_that_is_missing_is_an_error(capsys):
    """It names the variable, in the error alone."""
    with pytest.raises(ValueError, match="LOGPLEX_URL"):
        LogplexHandler(required=True)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("stderr", ["none", "closed", "full"])
def test_a_stderr_that_cannot_be_written_to_is_no_error(make, monkeypatch, stderr):
    """As under pytest, `pythonw` and daemons: nothing comes out of the handler."""

    class Full(io.StringIO):
        def write(self, text):
            raise OSError("no space left on device")

    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", {"none": None, "closed": closed, "full": Full()}[stderr])
    inactive = make()
    inactive.handle(record())
    try:
        raise ValueError("oops")
    except ValueError:
        inactive.handleError(record())
    handler = make(URL, shutdown_timeout=0)
    handler.setFormatter(Broken(ValueError("oops")))
    handler.handle(record())
    handler.close()
    handler.handle(record())
    assert dict(handler.stats().dropped) == {"format_error": 1, "closed": 1}


# --- Bad values ----------------------------------------------------------------------------------

# An int that no float can hold.
HUGE = 10**400

BAD: dict[str, list[Any]] = {
    "url": [5, b"https://token:t0ken@logplex.example", ["x"], "x", "https://logplex.example"],
    "level": ["LOUD", "info", None, 1.5, []],
    "hostname": ["---", "\N{GREEK SMALL LETTER OMEGA}", 5, b"x", ["x"]],
    "appname": ["...", "_", 5, b"x"],
    "procid": ["-", " ", 5, b"x", "router", "Router", "logplex"],
    "facility": ["local8", "", None, 23, b"local7", ["local7"], {}],
    "token_as_appname": [None, 1, "yes"],
    "structured_data": [None, 0, "no"],
    "user_agent": ["a\nb", "a\r\nX-Y: z", "Zo\xeb", "a ", 5, b"x"],
    "headers": [
        "X: y",
        [("X", "y")],
        5,
        {"X": "y\r\nAuthorization: z"},
        {"X": "y\nz"},
        {"X": "Zo\xeb"},
        {"X": "y\0"},
        {"X": ""},
        {"X": None},
        {"X": 5},
        {"X": b"y"},
        {"X\r\nY": "z"},
        {"X: Y": "z"},
        {"": "z"},
        {"Zo\xeb": "z"},
        {5: "z"},
        {b"X": "z"},
    ],
    "timeout": [0, -1, float("nan"), float("inf"), 86_401, HUGE, "5", None, True, (3, 5)],
    "compress": [None, 1, "gzip"],
    "session_factory": ["requests.Session", 5, {}],
    "allow_http": [None, 1, "yes"],
    "batch_size": [0, -1, 1.5, "500", None, True],
    "max_batch_bytes": [0, 10_007, 8_000_001, HUGE, 1e6, "1000000", None],
    "flush_interval": [-0.1, float("nan"), float("inf"), 86_401, HUGE, "1", None, False],
    "max_buffer_bytes": [0, 9_999, -1, 1e7, "16 MiB", None],
    "max_packet_bytes": [0, 2_047, 10_241, HUGE, 1e4, "10000", None],
    "on_full": ["drop", "", None, 5, ["block"], {}],
    "shutdown_timeout": [-1, float("nan"), float("inf"), 86_401, HUGE, "5", None, True],
    "required": [None, 1, "yes"],
    "on_drop": ["print", 5, []],
}


def test_bad_values_of_every_option_are_tested():
    """A new option gets a row above."""
    assert set(inspect.signature(LogplexHandler).parameters) == set(BAD)


def named(value):
    return "a huge number" if value is HUGE else repr(value)[:40].encode("unicode_escape").decode()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        pytest.param(option, value, id=f"{option}={named(value)}")
        for option, values in BAD.items()
        for value in values
    ],
)
def test_a_bad_value_is_an_error_that_names_the_option(option, value):
    """It is a ValueError of the package, it is raised by the constructor, and it has no cause."""
    with pytest.raises(ConfigurationError) as caught:
        LogplexHandler(**{"url": URL} | {option: value})
    assert str(caught.value).startswith(f"{option}: ")
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert not told(caught.value, USER, TOKEN)


@pytest.mark.parametrize(
    ("option", "least", "most"),
    [
        ("timeout", 0.001, 86_400),
        ("batch_size", 1, 10**9),
        ("max_batch_bytes", 10_008, 8_000_000),
        ("flush_interval", 0, 86_400),
        ("max_buffer_bytes", 10_000, 10**12),
        ("max_packet_bytes", 2_048, 10_240),
        ("shutdown_timeout", 0, 86_400),
    ],
)
def test_the_limits_of_a_number_are_good_values(make, option, least, most):
    """The first and the last that are allowed."""
    make(URL, **{option: least})
    make(URL, **{option: most})


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "AUTHORIZATION",
        "Connection",
        "Content-Encoding",
        "Content-Length",
        "content-type",
        "Expect",
        "Host",
        "Logplex-Frame-Id",
        "logplex-msg-count",
        "Transfer-Encoding",
        "User-Agent",
    ],
)
def test_a_header_of_the_handler_s_own_is_refused(name):
    """In any case; the error names it, and does not show its value."""
    with pytest.raises(ValueError, match=f"^headers: {name} ") as caught:
        LogplexHandler(URL, headers={name: DRAIN_TOKEN})
    assert not told(caught.value, DRAIN_TOKEN)


def test_a_bad_header_value_is_not_shown():
    """It may be a secret, as a drain token is."""
    with pytest.raises(ValueError, match=r"^headers: .* Logplex-Drain-Token ") as caught:
        LogplexHandler(URL, headers={"Logplex-Drain-Token": f"{DRAIN_TOKEN}\n"})
    assert not told(caught.value, DRAIN_TOKEN)


@pytest.mark.parametrize(
    ("variable", "value", "option"),
    [
        ("LOGPLEX_HOSTNAME", "---", "hostname"),
        ("LOGPLEX_APPNAME", "---", "appname"),
        ("LOGPLEX_PROCID", "router", "procid"),
        ("LOGPLEX_SOURCE", "us east", "LOGPLEX_SOURCE"),
        ("LOGPLEX_USER_AGENT", "a\nb", "user_agent"),
        ("LOGPLEX_URL", "logplex.example", "LOGPLEX_URL"),
    ],
)
def test_a_bad_value_in_the_environment_is_an_error_too(monkeypatch, variable, value, option):
    """It names the option or the variable."""
    monkeypatch.setenv("LOGPLEX_URL", URL)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=f"^{option}: "):
        LogplexHandler()


def test_an_unknown_option_is_a_type_error():
    """A misspelt option is not ignored."""
    with pytest.raises(TypeError, match="flush_intervall"):
        LogplexHandler(URL, flush_intervall=1)  # type: ignore[call-arg]


def test_only_the_url_may_be_given_by_position():
    """Configuration that is read by people has names."""
    with pytest.raises(TypeError, match="positional"):
        LogplexHandler(URL, logging.INFO)  # type: ignore[call-arg]


def half_made():
    """The error of a handler that could not be made: its traceback keeps the half of it alive."""
    try:
        LogplexHandler("logplex.example")
    except ConfigurationError as error:
        return error
    raise AssertionError("it was made")


def test_a_handler_that_could_not_be_made_does_not_disturb_the_shutdown():
    """`logging.shutdown`, and so `dictConfig`, finds nothing of it to flush or to close."""
    error = half_made()
    logging.shutdown()
    del error


def test_a_handler_that_could_not_be_made_can_be_shown():
    """Debuggers and error reporters show the `self` of a traceback's frames."""
    for frame, _ in traceback.walk_tb(half_made().__traceback__):
        assert all(repr(value) for value in frame.f_locals.values())


def test_a_program_that_ends_by_a_bad_option_shows_one_traceback():
    """And not another one, from the interpreter's exit."""
    finished = subprocess.run(
        [sys.executable, "-c", "import logplex_handler as l; l.LogplexHandler('x')"],
        env=os.environ | {"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (finished.returncode, finished.stderr.count("Traceback (most")) == (1, 1)


# --- URLs ----------------------------------------------------------------------------------------

BAD_URLS = [
    # The scheme.
    "{user}:{token}@logplex.example",
    "//{user}:{token}@logplex.example/logs",
    "ftp://{user}:{token}@logplex.example/logs",
    "httpss://{user}:{token}@logplex.example/logs",
    "https:{user}:{token}@logplex.example/logs",
    "https:/{user}:{token}@logplex.example/logs",
    "https//{user}:{token}@logplex.example/logs",
    "file:///{user}/{token}",
    "://{user}:{token}@logplex.example",
    "{token}://{user}@logplex.example",
    "{token}",
    # The host.
    "https://{user}:{token}@",
    "https://{user}:{token}@/logs",
    "https://{user}:{token}@:443/logs",
    "https://{user}:{token}@[::1/logs",
    "https://{user}:{token}@::1]/logs",
    "https://{user}:{token}@[not-an-address]/logs",
    "https://{user}:{token}@[v1.logplex]/logs",
    "https://{user}:{token}@.logplex.example/logs",
    "https://{user}:{token}@logplex..example/logs",
    "https://{user}:{token}@*/logs",
    "https://{user}:{token}@{long}.example/logs",
    "https://{user}:{token}@\u2100.example/logs",
    "https://{user}:{token}@logplex%example/logs",
    # The port.
    "https://{user}:{token}@logplex.example:0/logs",
    "https://{user}:{token}@logplex.example:65536/logs",
    "https://{user}:{token}@logplex.example:-1/logs",
    "https://{user}:{token}@logplex.example:{token}/logs",
    "https://{user}:{token}@logplex.example:443:443/logs",
    "https://{user}:{token}@logplex.example:\u0664\u0664\u0663/logs",
    # Special characters that are not escaped.
    "https://{user}:{token}/x@logplex.example/logs",
    "https://{user}:{token}#x@logplex.example/logs",
    "https://{user}:{token}?x@logplex.example/logs",
    "https://{user}:{token}[x@logplex.example/logs",
    "https://{user}:{token}]x@logplex.example/logs",
    "https://{user}:{token}\\x@logplex.example/logs",
    "https://{user}:{token} x@logplex.example/logs",
    "https://{user}:{token}@logplex.example/lo gs",
    "https://{user}:{token}@logplex.example/logs#{token}",
    "https://{user}:{token}\n@logplex.example/logs",
    "https://{user}:{token}\t@logplex.example/logs",
    "https://{user}:{token}\x00@logplex.example/logs",
    "https://{user}:{token}\x7f@logplex.example/logs",
    "https://{user}:{token}\x85@logplex.example/logs",
    # Credentials.
    "https://logplex.example/{token}",
    "https://logplex.example/logs?token={token}",
    "https://{user}@logplex.example/{token}",
    "https://{user}:@logplex.example/{token}",
    "https://:{token}@logplex.example/logs",
    "https://{user}%3A:{token}@logplex.example/logs",
    "https://{user}:{token}%0D%0AX-Y:%20z@logplex.example/logs",
    "https://{user}%00:{token}@logplex.example/logs",
    "https://{user}:{token}%C2%85@logplex.example/logs",
    "https://{user}:{token}\ud800@logplex.example/logs",
    # In the clear.
    "http://{user}:{token}@logplex.example/logs",
]
BAD_URLS = [url.format(user=USER, token=TOKEN, long="l" * 64) for url in BAD_URLS]


def chain(error):
    """The error, its causes and its contexts."""
    seen = []
    while error is not None and error not in seen:
        seen.append(error)
        error = error.__cause__ or error.__context__
    return seen


def told(error, *secrets):
    """Where the error tells one of the secrets, if anywhere: never what."""
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


every_bad_url = pytest.mark.parametrize(
    "url", BAD_URLS, ids=[f"{number:02}" for number in range(len(BAD_URLS))]
)


@every_bad_url
def test_a_malformed_url_is_not_shown(url):
    """The error says what is wrong, and neither it nor any frame of ours holds URL or token."""
    with pytest.raises(ConfigurationError, match=r"^url: \w.*\w") as caught:
        LogplexHandler(url)
    assert chain(caught.value) == [caught.value]
    assert not told(caught.value, url, USER, TOKEN)


@every_bad_url
def test_a_malformed_url_of_a_destination_is_not_shown(url):
    """Wherever it is taken apart, as where a stream's URL is looked up."""
    with pytest.raises(ConfigurationError, match=r"^url: \w.*\w") as caught:
        Destination.from_url(url)
    assert chain(caught.value) == [caught.value]
    assert not told(caught.value, url, USER, TOKEN)


@every_bad_url
def test_a_malformed_url_of_dict_config_is_not_shown(url):
    """Nor by the error that `dictConfig` raises from ours."""
    with pytest.raises(ValueError, match="Unable to configure handler 'logplex'") as caught:
        logging.config.dictConfig(dict_config(url=url))
    assert isinstance(caught.value.__cause__, ConfigurationError)
    assert not told(caught.value, url, USER, TOKEN)


@every_bad_url
def test_a_malformed_url_of_the_environment_is_not_shown(monkeypatch, url):
    """The error names the variable."""
    # What an environment cannot hold.
    if "\0" in url or "\ud800" in url:
        monkeypatch.setattr(os, "environ", dict(os.environ) | {"LOGPLEX_URL": url})
    else:
        monkeypatch.setenv("LOGPLEX_URL", url)
    with pytest.raises(ConfigurationError, match=r"^LOGPLEX_URL: \w.*\w") as caught:
        LogplexHandler()
    assert chain(caught.value) == [caught.value]
    assert not told(caught.value, url, USER, TOKEN)


@pytest.mark.parametrize("token", ["\n-t0ken-t0ken", "t0ken-\x00-t0ken", "t0ken-\ud800-t0ken"])
def test_a_malformed_token_of_the_environment_is_not_shown(monkeypatch, token):
    """One that HTTP cannot carry."""
    token = f"x{token}"
    environ = {"LOGPLEX_URL": BARE_URL, "LOGPLEX_TOKEN": token}
    monkeypatch.setattr(os, "environ", dict(os.environ) | environ)
    with pytest.raises(ConfigurationError, match=r"^LOGPLEX_URL: ") as caught:
        LogplexHandler()
    assert not told(caught.value, token, "t0ken")


@pytest.mark.parametrize(
    "url",
    [
        "https://{}@logplex.example",
        "https://{}@logplex.example/",
        "https://{}@logplex.example:8601/logs",
        "https://{}@logplex.example/other/path?a=b",
        "https://{}@192.0.2.1/logs",
        "https://{}@[2001:db8::1]:8601/logs",
        "https://{}@l\xf6gplex.example/logs",
        "HTTPS://{}@LOGPLEX.example/logs",
        " https://{}@logplex.example/logs\n",
    ],
)
def test_a_good_url_is_taken(make, url):
    """Space around it, as environments have it, is no matter."""
    assert "inactive" not in repr(make(url.format(f"{USER}:{TOKEN}")))


@pytest.mark.parametrize("path", ["", "/"])
def test_an_empty_path_means_logs(logplex, make, path):
    """A URL may end with the host; whether `/` is empty too is for the receiver to say."""
    handler = make(logplex.url.removesuffix("/logs"))
    assert packet(handler, logplex).text == "level=info logger=shop msg=hello"


def reachable(value, seen):
    """The value and all that it refers to by attributes and containers."""
    if id(value) in seen or isinstance(value, str | bytes | type | int | float | None):
        return
    seen[id(value)] = value
    yield value
    inner: list[Any] = []
    if isinstance(value, dict):
        inner = [*value, *value.values()]
    elif isinstance(value, list | tuple | set | frozenset | deque):
        inner = [*value]
    elif type(value).__module__.startswith(("logplex_handler", "requests", "urllib3")):
        inner = [*getattr(value, "__dict__", {}).values()]
    for each in inner:
        yield from reachable(each, seen)


@pytest.mark.parametrize("token_as_appname", [False, True])
def test_no_repr_shows_the_token(logplex, make, token_as_appname):
    """Not the handler's, nor that of anything in it, before and after a delivery."""
    handler = make(
        logplex.url, token_as_appname=token_as_appname, headers={"X-Drain-Token": DRAIN_TOKEN}
    )
    tokens = (logplex.token, requests.auth._basic_auth_str("token", logplex.token))
    for _ in range(2):
        found = list(reachable(handler, {}))
        assert len(found) > 20
        assert not [type(each) for each in found if any(token in repr(each) for token in tokens)]
        ours = [each for each in found if type(each).__module__.startswith("logplex_handler")]
        assert not [type(each) for each in ours if DRAIN_TOKEN in repr(each)]
        handler.handle(record())
        assert handler.flush()
    assert "127.0.0.1" in repr(handler)


def test_the_repr_shows_no_query(make):
    """A secret could stand there too."""
    handler = make(f"https://{USER}:{TOKEN}@logplex.example/logs?key=s3cret", level="INFO")
    assert repr(handler) == "<LogplexHandler https://logplex.example/logs (INFO)>"


# --- Formatters and records that fail ------------------------------------------------------------


class Broken(logging.Formatter):
    """Raises what it is given, or returns it."""

    def __init__(self, result):
        super().__init__()
        self.result = result

    def format(self, record):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


BROKEN = {
    "a formatter that raises": ({}, Broken(ZeroDivisionError("oops"))),
    "a formatter that recurses": ({}, Broken(RecursionError())),
    "a formatter that returns None": ({}, Broken(None)),
    "a formatter that returns bytes": ({}, Broken(b"hello")),
    "a formatter that returns an object": ({}, Broken(object())),
    "created is NaN": ({"created": float("nan")}, None),
    "created is infinite": ({"created": float("inf")}, None),
    "created is negative": ({"created": -1.0}, None),
    "created is huge": ({"created": 1e300}, None),
    "created is behind the year 9999": ({"created": 253_402_300_800.0}, None),
    "created is a huge int": ({"created": HUGE}, None),
    "created is a string": ({"created": "now"}, None),
    "created is None": ({"created": None}, None),
    "created is complex": ({"created": 1j}, None),
    "levelno is a string": ({"levelno": "INFO"}, None),
    "levelno is None": ({"levelno": None}, None),
}


@pytest.mark.parametrize(("attributes", "formatter"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("raise_exceptions", [True, False])
def test_what_cannot_be_formatted_is_counted(
    logplex, make, monkeypatch, capsys, attributes, formatter, raise_exceptions
):
    """The application sees nothing; the drop is told, and with raiseExceptions its traceback."""
    monkeypatch.setattr(logging, "raiseExceptions", raise_exceptions)
    handler = make(logplex.url)
    handler.setFormatter(formatter)
    assert handler.handle(record(**attributes))
    handler.setFormatter(None)
    handler.handle(record("good"))
    assert handler.flush()
    stats = handler.stats()
    assert (stats.accepted, stats.delivered) == (2, 1)
    assert dict(stats.dropped) == {"format_error": 1}
    assert "level=info logger=shop msg=good" in texts(logplex)
    (notice,) = [line for line in logplex.lines if "logger=logplex_handler" in line.text]
    assert dict(notice.pairs)["count#logplex_handler.dropped"] == "1"
    assert not logplex.violations
    errors = capsys.readouterr().err
    assert ("--- Logging error ---" in errors) == raise_exceptions
    assert "logplex_handler: 1 record dropped (format_error 1)\n" in errors


@pytest.mark.parametrize(
    "attributes",
    [
        {"created": 0.0},
        {"created": 1},
        {"created": 253_402_300_799.0},
        {"levelno": 10**30},
        {"levelno": -5},
        {"levelname": None},
        {"name": None},
        {"msg": None},
        {"args": "abc"},
        {"exc_info": True},
        {"exc_info": (None, None, None)},
        {"exc_text": "already formatted"},
        {"msecs": "x", "thread": "x", "process": None, "lineno": "x"},
    ],
    ids=repr,
)
def test_other_odd_attributes_cost_no_record(logplex, make, attributes):
    """A record is delivered as long as a packet can be made of it."""
    handler = make(logplex.url)
    assert packet(handler, logplex, record(**attributes)).text.startswith("level=")
    assert not handler.stats().dropped


def test_an_interrupt_in_a_formatter_is_not_swallowed(make):
    """Control-C ends the program wherever it strikes."""

    class Interrupted(logging.Formatter):
        def format(self, record):
            raise KeyboardInterrupt

    handler = make(URL, shutdown_timeout=0)
    handler.setFormatter(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        handler.handle(record())
