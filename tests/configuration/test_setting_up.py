"""Ways to create the handler: in code, with `logging.config`, behind a queue."""

from __future__ import annotations

import configparser
import inspect
import io
import logging
import logging.config
import logging.handlers
import queue
import sys

import pytest

from logplex_handler import LogplexHandler
from tests.configuration.shared import delivered, dict_config, record


def test_a_handler_is_added_to_a_logger_like_any_other(logplex, make):
    """`addHandler` is all there is to it."""
    logger = logging.getLogger("tests.plain")
    logger.addHandler(make(logplex.url))
    logger.warning("order %d shipped", 42)
    assert delivered(logplex, 1) == ['level=warning logger=tests.plain msg="order 42 shipped"']


def test_a_handler_is_given_to_basic_config(logplex, make):
    """`basicConfig` gives a formatter to handlers that have none; this one has, and keeps it."""
    logging.basicConfig(handlers=[make(logplex.url)], level="INFO", force=True)
    logging.getLogger("tests.basic").info("hello", extra={"order": 1})
    assert delivered(logplex, 1) == ["level=info logger=tests.basic msg=hello order=1"]


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
    "timeout": 50,
    "compress": True,
    "allow_http": True,
    "batch_size": 10,
    "max_batch_bytes": 100_000,
    "flush_interval": 0,
    "max_buffer_bytes": 1_000_000,
    "max_packet_bytes": 4_000,
    "on_full": "drop_newest",
    "shutdown_timeout": 50,
    "required": True,
    "streams": {"customer": "https://token:t.1@logplex.example/logs"},
    "workers": 2,
    "health_interval": 3600,
    "max_spool_bytes": 1_000_000,
    "spool_interval": 0.2,
    "relay": "redis://127.0.0.1:1",
}


def test_dict_config_sets_every_option(logplex, tmp_path):
    """All options together, from JSON, make a handler that delivers."""
    spool = str(tmp_path / "spool.db")
    options = {"url": logplex.url, "level": "INFO", "spool": spool, **JSON_OPTIONS}
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
    # Where delivery takes longer than `dictConfig` waits for, a thread goes on with it.
    assert delivered(logplex, 1) == ["level=info logger=tests msg=first"]
    logging.getLogger("tests").info("second")
    logging.config.dictConfig(dict_config(url=logplex.url))
    assert delivered(logplex, 2)[1:] == ["level=info logger=tests msg=second"]


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
    """`disable_existing_loggers` works as with other handlers."""
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
