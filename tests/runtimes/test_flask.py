"""An ordinary web application: every record arrives once, and nothing else does."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from logplex_handler import LogplexHandler
from logplex_handler.testing import LogplexReceiver

REQUESTS = 400
CLIENTS = 4
# The loggers of the libraries; the application's are below `shop`. The libraries are imported by
# the fixtures: collecting the tests would otherwise import them in every process.
LIBRARIES = ("werkzeug", "sqlalchemy.engine", "sqlalchemy.pool", "urllib3", "requests", "flask")

log = logging.getLogger("shop.orders")


class Reference(logging.Handler):
    """Keeps every record, and numbers them for the handlers behind it."""

    def __init__(self):
        super().__init__()
        self.records = []
        self._numbers = itertools.count()
        self.addFilter(self._number)

    def _number(self, record):
        record.number = next(self._numbers)
        return True

    def emit(self, record):
        self.records.append(record)


@pytest.fixture
def logplex():
    with LogplexReceiver() as receiver:
        yield receiver


@pytest.fixture
def _verbose():
    """Every logger of the program is at DEBUG, as the root logger is."""
    loggers = [logging.getLogger(name) for name in ("", "shop", *LIBRARIES)]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


@pytest.fixture
def reference(_verbose):
    """A handler of the root logger that stands before all that come later."""
    handler = Reference()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def handler(reference, logplex):
    handler = LogplexHandler(logplex.url, timeout=100, shutdown_timeout=100)
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)
    handler.close()


@pytest.fixture
def engine(handler):
    """A database in memory, made when its loggers are at DEBUG already: it asks them only once."""
    import sqlalchemy
    from sqlalchemy.pool import StaticPool

    engine = sqlalchemy.create_engine(
        "sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False}
    )
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE orders (id INTEGER, item TEXT)"))
    yield engine
    engine.dispose()


@pytest.fixture
def shop(engine):
    """The address of the program, as werkzeug serves it with a thread for each connection."""
    import flask
    import sqlalchemy
    from werkzeug.serving import make_server

    app = flask.Flask("shop")
    # SQLite has one connection here.
    database = threading.Lock()

    @app.route("/orders/<int:number>", methods=["POST"])
    def order(number):
        item = flask.request.args["item"]
        with database, engine.begin() as connection:
            connection.execute(
                sqlalchemy.text("INSERT INTO orders VALUES (:id, :item)"),
                {"id": number, "item": item},
            )
        log.info("order %d taken", number, extra={"item": item})
        if number % 10 == 0:
            raise LookupError(f"no {item}\nleft")
        return {"order": number}

    @app.route("/orders/<int:number>")
    def look_up(number):
        with database, engine.connect() as connection:
            query = sqlalchemy.text("SELECT item FROM orders WHERE id = :id")
            return {"item": connection.execute(query, {"id": number}).scalar_one()}

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="server")
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def use(shop, numbers):
    """Take an order and look it up, for each of the numbers; the statuses of the answers."""
    statuses = []
    with requests.Session() as session:
        for number in numbers:
            url = f"{shop}/orders/{number}"
            answers = [
                session.post(url, params={"item": f"té a\tpot {number}"}, timeout=100),
                session.get(url, timeout=100),
            ]
            statuses += [answer.status_code for answer in answers]
    return statuses


def test_every_record_of_a_program_is_in_the_stream_once(shop, handler, logplex, reference):
    """Flask, SQLAlchemy, werkzeug and urllib3 at DEBUG, 400 requests from four threads.

    What delivering makes urllib3 log is in no stream, or it would never end.
    """
    numbers = [range(first, REQUESTS // 2, CLIENTS) for first in range(CLIENTS)]
    began = time.monotonic()
    with ThreadPoolExecutor(CLIENTS) as clients:
        statuses = [
            status for each in clients.map(use, [shop] * CLIENTS, numbers) for status in each
        ]
    assert Counter(statuses) == {200: REQUESTS - REQUESTS // 20, 500: REQUESTS // 20}
    assert handler.flush()
    seconds = time.monotonic() - began

    port = logplex.url.split(":")[-1].split("/")[0]
    own: list[logging.LogRecord] = []
    others: list[logging.LogRecord] = []
    for record in reference.records:
        text = record.getMessage()
        of_delivery = record.threadName == "logplex_handler" or f"127.0.0.1:{port}" in text
        (own if of_delivery else others).append(record)
    assert {record.name for record in own} == {"urllib3.connectionpool"}

    sent = Counter((record.name, str(vars(record)["number"])) for record in others)
    pairs = [dict(line.pairs) for line in logplex.lines]
    arrived = Counter((line["logger"], line["number"]) for line in pairs)
    assert arrived == sent
    assert set(sent.values()) == {1}
    names = Counter(record.name for record in others)
    assert names["werkzeug"] >= REQUESTS
    assert names["shop"] == REQUESTS // 20
    assert names["shop.orders"] == REQUESTS // 2
    assert names["urllib3.connectionpool"] >= REQUESTS
    assert names["sqlalchemy.engine.Engine"] >= 3 * REQUESTS

    messages = {str(vars(record)["number"]): record.getMessage() for record in others}
    assert not [line for line in pairs if "msg" in line and line["msg"] != messages[line["number"]]]
    stats = handler.stats()
    assert (stats.accepted, stats.delivered, stats.pending) == (len(others), len(others), 0)
    assert not stats.dropped
    assert not logplex.violations
    # About one a second, however long a busy machine takes.
    assert len(logplex.requests) == stats.requests < REQUESTS // 10 + 2 * seconds
