"""What keeps a logger's records from the stream is named, and nothing else is."""

import logging
import logging.handlers
import os
import queue
import textwrap

import pytest

from logplex_handler import (
    ConfigurationError,
    LogplexHandler,
    diagnose,
    log_uncaught_exceptions,
)
from logplex_handler.handler._handler import all_handlers
from logplex_handler.testing import LogplexReceiver

PREAMBLE = """
import logging, logging.config, logging.handlers, queue, sys
from logplex_handler import LogplexHandler, diagnose, use_stream
def attached(logger="", **options):
    handler = LogplexHandler(URL, **options)
    logging.getLogger(logger).addHandler(handler)
    logging.getLogger(logger).setLevel("INFO")
    return handler
def behind_memory(capacity=9, **options):
    handler = attached(**options)
    logging.getLogger().handlers = [logging.handlers.MemoryHandler(capacity, target=handler)]
    return handler
def behind_listener(*handlers):
    front = logging.handlers.QueueHandler(queue.Queue())
    front.listener = logging.handlers.QueueListener(front.queue, *handlers)
    front.listener.start()
    logging.getLogger().handlers = [front]
QUEUE = logging.handlers.QueueHandler(queue.Queue())
"""
NOWHERE = "http://token:t.1@127.0.0.1:9/logs"


def found(script, url=NOWHERE):
    """What the diagnosis says in a process of its own, whose `logging` the script configures."""
    program = PREAMBLE.replace("URL", repr(url)) + textwrap.dedent(script)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            # As a program begins: pytest and other tests have loggers and handlers of their own.
            root = logging.getLogger()
            root.setLevel("WARNING")
            root.handlers.clear()
            root.manager.loggerDict.clear()
            all_handlers._objects.clear()
            names = {}
            exec(program, names)
            said = "\n".join(map(str, names["diagnose"]("shop.orders")))
        except BaseException as error:
            said = f"the script fails: {error!r}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said.splitlines()


@pytest.mark.parametrize(
    "script",
    [
        "attached()",
        "attached('shop')",
        "attached('shop'); logging.getLogger('shop').propagate = False",
        "attached(); attached(level='ERROR')",
        "attached(); logging.getLogger().setLevel('ERROR'); "
        "logging.getLogger('shop').setLevel('DEBUG')",
        # A MemoryHandler does not look at the level of its target.
        "behind_memory(1, level='ERROR')",
        "good = attached(); bad = attached(); bad.close(); bad.handle(logging.makeLogRecord({}))\n"
        "behind_listener(bad, good)",
    ],
)
def test_where_nothing_is_in_the_way_nothing_is_said(script):
    """One handler that delivers is enough."""
    assert found(script) == []


CAUSES = {
    "level": ("attached(); logging.getLogger().setLevel('WARNING')", "root logger has the level"),
    "level of a parent": (
        "attached(); logging.getLogger('shop').setLevel('ERROR')",
        "the logger 'shop' has the level ERROR. Call `setLevel('INFO')` on",
    ),
    "disabled": (
        "logging.getLogger('shop.orders'); logging.config.dictConfig({'version': 1}); attached()",
        "the logger 'shop.orders' is disabled",
    ),
    "logging.disable": ("attached(); logging.disable('INFO')", "logging.disable(INFO) was called"),
    "propagate": (
        "attached(); logging.getLogger('shop').propagate = False",
        "the logger 'shop' has `propagate = False`",
    ),
    "no handler": ("logging.basicConfig(level='INFO')", "this process has no LogplexHandler"),
    "elsewhere": (
        "attached('warehouse'); logging.getLogger().setLevel('INFO')",
        "a handler is attached to the logger 'warehouse', but not to the logger 'shop.orders'",
    ),
    "replaced": (
        "kept = attached(); logging.basicConfig(level='INFO', force=True)",
        "there is a LogplexHandler, but no logger has it",
    ),
    "level of the handler": (
        "attached(level='ERROR')",
        "the LogplexHandler of the root logger has the level ERROR",
    ),
    "inactive": (
        "import os; os.environ.pop('LOGPLEX_URL', None)\n"
        "logging.basicConfig(level='INFO', handlers=[LogplexHandler()])",
        "is inactive",
    ),
    "closed": ("attached().close()", "the LogplexHandler of the root logger is closed"),
    "memory handler": (
        "attached('x'); logging.getLogger().addHandler(logging.handlers.MemoryHandler(9)); "
        "logging.getLogger().setLevel('INFO')",
        "the MemoryHandler of the root logger has no target",
    ),
    "behind a memory handler": (
        "behind_memory().close()",
        "the LogplexHandler of the root logger is closed",
    ),
    "memory handler of another kind": (
        "logging.basicConfig(level='INFO', handlers=[\n"
        "    logging.handlers.MemoryHandler(9, target=logging.StreamHandler())])",
        "the target of the MemoryHandler of the root logger is no LogplexHandler",
    ),
    "propagate below a queue": (
        "logging.basicConfig(level='INFO', handlers=[QUEUE])\n"
        "logging.getLogger('shop').propagate = False",
        "the logger 'shop' has `propagate = False`",
    ),
    "listener": (
        "behind_listener(logging.StreamHandler()); logging.getLogger().setLevel('INFO')",
        "the listener of the QueueHandler of the root logger has no LogplexHandler",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_named_with_its_cure(cause):
    """Nothing else is called certain."""
    script, words = CAUSES[cause]
    [certain] = [line for line in found(script) if not line.startswith("possibly: ")]
    assert words in certain


def test_what_may_be_in_the_way_is_said_as_such():
    """A filter may let records pass, and a queue may be emptied."""
    lines = found(
        """
        def of_customers(record): return True
        attached().addFilter(of_customers)
        logging.getLogger("shop.orders").addFilter(logging.Filter("shop"))
        logging.getLogger("shop").addHandler(logging.handlers.QueueHandler(queue.Queue()))
        """
    )
    assert lines == [
        "possibly: the logger 'shop.orders' has filters (Filter). "
        "See whether they let the record pass.",
        "possibly: the QueueHandler of the logger 'shop' passes records to a queue. "
        "Its QueueListener must have a LogplexHandler, and must have been started.",
        "possibly: the LogplexHandler of the root logger has filters (of_customers). "
        "See whether they let the record pass.",
    ]


KEEPS = "possibly: the MemoryHandler of the root logger keeps up to 9 records below ERROR. "


@pytest.mark.parametrize(
    ("script", "beginnings"),
    [
        ("behind_memory(level='ERROR')", [KEEPS]),
        (
            "behind_memory(); logging.getLogger().setLevel('INFO')\n"
            "behind_listener(*logging.getLogger().handlers)",
            [KEEPS],
        ),
        (
            # The queue may lead to a handler that delivers.
            "attached().close(); logging.getLogger().addHandler(QUEUE)",
            [
                "possibly: the LogplexHandler of the root logger is closed. ",
                "possibly: the QueueHandler of the root logger passes records to a queue. ",
            ],
        ),
        (
            "logging.basicConfig(level='INFO', handlers=[LogplexHandler(streams={})])",
            ["possibly: the LogplexHandler of the root logger has no URL for records that name no"],
        ),
        (
            # Both listen to the queue that they fill.
            "behind_listener(); logging.getLogger().handlers[0].listener.handlers = (\n"
            "    logging.getLogger().handlers[0],)\nlogging.getLogger().setLevel('INFO')",
            ["the QueueHandler of the root logger gets its own records again. "],
        ),
        (
            # A proxy has attributes of something else.
            """
            class Proxy:
                def __getattr__(self, name): raise RuntimeError(name)
            attached().filters.append(Proxy())
            """,
            ["possibly: the LogplexHandler of the root logger has filters (Proxy). "],
        ),
        (
            "attached().close(); logging.getLogger('shop').info('late')",
            [
                "the LogplexHandler of the root logger is closed. ",
                "possibly: the LogplexHandler of the root logger has dropped 1 of 1 records: "
                "closed. Records were logged after `close`",
            ],
        ),
    ],
)
def test_whether_it_is_certain(script, beginnings):
    """An obstacle of one handler is only possible if another one may deliver."""
    lines = found(script)
    assert len(lines) == len(beginnings)
    assert all(map(str.startswith, lines, beginnings)), lines


def test_a_stream_that_is_set_aside_is_shown_whatever_its_id():
    """`check` knows no streams, so it is not what to try."""
    lines = found(
        """
        class Id:
            def __repr__(self): raise RuntimeError
        handler = attached(streams=lambda stream: 1 / 0)
        with use_stream(Id()):
            logging.getLogger("shop").info("hello")
        while not handler.set_aside(): handler.flush(0.05)
        """
    )
    assert lines == [
        "possibly: the LogplexHandler of the root logger keeps the records of the stream <Id>: "
        "look-up failed: ZeroDivisionError. See what `streams` returns for it."
    ]


def test_a_handler_below_the_root_logger():
    """There is nothing above the root logger."""
    handler = LogplexHandler(NOWHERE)
    logging.getLogger("warehouse").addHandler(handler)
    try:
        obstacle = diagnose(level="CRITICAL")[-1]
    finally:
        logging.getLogger("warehouse").removeHandler(handler)
        handler.close()
    assert obstacle.message.endswith(", but not to the root logger")
    assert obstacle.cure == "Attach it to the root logger."


def test_a_level_without_a_name_is_shown_as_one_can_set_it():
    """`setLevel` takes no `Level 25`."""
    logger = logging.getLogger("shop.unnamed-levels")
    logger.setLevel(29)
    assert diagnose(logger, level=25)[0].cure.startswith("Call `setLevel(25)` on ")


def test_a_url_that_is_refused_is_named_without_its_token():
    """The reason is the receiver's answer."""
    with LogplexReceiver() as logplex:
        lines = found(
            """
            handler = attached()
            logging.getLogger("shop.orders").info("hello")
            while not handler.set_aside(): handler.flush(0.05)
            """,
            logplex.url_for("t.of-somebody-else"),
        )
    assert len(lines) == 1
    assert "keeps the records of its URL: status 401" in lines[0]
    assert "t.of-somebody-else" not in lines[0]


def test_drops_are_counted():
    """They may be over by now, so they are a possible cause."""
    [line] = found(
        """
        handler = attached(max_buffer_bytes=20_000, on_full="drop_newest")
        for _ in range(300): logging.getLogger("shop").info("x" * 500)
        """
    )
    assert line.startswith("possibly: the LogplexHandler of the root logger has dropped")
    assert "buffer_full" in line


def test_a_logger_that_is_in_no_hierarchy():
    """`logging.Logger` makes one that has no parent, so no handler."""
    with LogplexReceiver() as logplex:
        handler = LogplexHandler(logplex.url)
        logging.getLogger().addHandler(handler)
        try:
            [obstacle] = diagnose(logging.Logger("alone"))  # noqa: LOG001
        finally:
            logging.getLogger().removeHandler(handler)
            handler.close()
    assert "has no parent" in obstacle.message
    assert obstacle.certain


@pytest.mark.parametrize("respects", [True, False])
def test_a_listener_that_respects_levels(respects):
    """Only then does the level of a handler behind it keep a record away."""
    with LogplexReceiver() as logplex:
        behind = LogplexHandler(logplex.url, level="ERROR")
        front = logging.handlers.QueueHandler(queue.Queue())
        front.listener = logging.handlers.QueueListener(
            front.queue, behind, respect_handler_level=respects
        )
        logger = logging.getLogger("shop.of-listeners")
        logger.setLevel("INFO")
        logger.addHandler(front)
        try:
            assert any("is not running" in one.message for one in diagnose(logger))
            front.listener.start()
            levels = [one for one in diagnose(logger) if "has the level ERROR" in one.message]
            assert bool(levels) is respects
            front.listener.stop()
        finally:
            logger.removeHandler(front)
            behind.close()


@pytest.mark.parametrize("function", [diagnose, log_uncaught_exceptions])
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"level": "LOUD"}, "level: is not a level"),
        ({"level": 1.5}, "level: is not a level"),
        ({"level": None}, "level: is not a level"),
        # `logging` is disabled for them from the start.
        ({"level": "NOTSET"}, "level: must be above 0"),
        ({"level": -1}, "level: must be above 0"),
        ({"logger": 5}, "logger: must be a logger or its name"),
    ],
)
def test_what_cannot_be_a_logger_or_its_level(function, arguments, words):
    """It is named at once, as an option is."""
    with pytest.raises(ConfigurationError, match=f"^{words}"):
        function(**arguments)
