"""An add-on partner: provisions customers, logs to the stream of each, and survives rotations.

The partner's code comes first: a record in SQLite, a Flask app that Heroku calls, and handlers in
two processes, which share nothing but the record. The stand-in for Heroku comes after it: it
rotates a URL, changes a plan and removes a customer, and prints the lines that each customer has
seen. The partner's own lines go to LOGPLEX_URL; without it they are printed too.
"""

from __future__ import annotations

import hmac
import logging
import multiprocessing
import os
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import requests
from flask import Flask, request
from werkzeug.serving import make_server

from logplex_handler import ConfigurationError, LogplexHandler, LookupFailed, use_stream
from logplex_handler.heroku import PlatformAPI, Provision, Resource, Tokens
from logplex_handler.testing import LogplexReceiver

log = logging.getLogger("addon")

# These are in the add-on's manifest; a real partner reads them from the environment.
MANIFEST_ID, PASSWORD, CLIENT_SECRET = "my-addon", "a-password", "a-secret"
# Here Logplex is a receiver on this machine. With Heroku, leave `allow_private` out.
ON_THIS_MACHINE = True


class Record:
    """The partner's record of its customers."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._run(
            "CREATE TABLE IF NOT EXISTS customers (id TEXT PRIMARY KEY, plan TEXT,"
            " log_input_url TEXT, access_token TEXT, refresh_token TEXT)"
        )

    def _run(self, statement: str, *values: object) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self._path)) as database, database:
            return database.execute(statement, values).fetchall()

    def add(self, asked: Provision) -> None:
        """Add a customer; Heroku may repeat a request, which changes nothing."""
        self._run(
            "INSERT INTO customers (id, plan, log_input_url) VALUES (?, ?, ?)"
            " ON CONFLICT (id) DO NOTHING",
            *(asked.id, asked.plan, asked.log_input_url),
        )

    def change_plan(self, customer: str, plan: str) -> bool:
        """Change the plan of a customer; False if there is no such customer."""
        changed = "UPDATE customers SET plan = ? WHERE id = ? RETURNING id"
        return bool(self._run(changed, plan, customer))

    def remove(self, customer: str) -> bool:
        """Remove a customer; False if there is no such customer."""
        return bool(self._run("DELETE FROM customers WHERE id = ? RETURNING id", customer))

    def customers(self) -> list[str]:
        return [customer for (customer,) in self._run("SELECT id FROM customers ORDER BY id")]

    def resource(self, customer: str) -> Resource | None:
        rows = self._run(
            "SELECT log_input_url, access_token, refresh_token FROM customers WHERE id = ?",
            customer,
        )
        for url, access_token, refresh_token in rows:
            return Resource(customer, url, access_token=access_token, refresh_token=refresh_token)
        return None

    def store_tokens(self, customer: str, tokens: Tokens) -> None:
        self._run(
            "UPDATE customers SET access_token = ?, refresh_token = ? WHERE id = ?",
            *(tokens.access_token, tokens.refresh_token, customer),
        )

    def store_url(self, customer: str, url: str) -> None:
        # Another process may have stored it just before.
        changed = self._run(
            "UPDATE customers SET log_input_url = ? WHERE id = ? AND log_input_url IS NOT ?"
            " RETURNING id",
            *(url, customer, url),
        )
        if changed:
            log.info("URL rotated", extra={"customer": customer})


def partner_app(record: Record, api: PlatformAPI) -> Flask:
    """The app that Heroku calls for customers; it may repeat each request."""
    app = Flask("partner")

    @app.before_request
    def authenticate() -> tuple[dict[str, str], int] | None:
        given = request.authorization
        user, password = (given.username, given.password) if given else ("", "")
        # Comparisons in constant time, so that their duration reveals nothing.
        is_user = hmac.compare_digest((user or "").encode(), MANIFEST_ID.encode())
        is_password = hmac.compare_digest((password or "").encode(), PASSWORD.encode())
        if not (is_user and is_password):
            return {"message": "unauthorized"}, 401
        return None

    @app.post("/heroku/resources")
    def provision() -> tuple[dict[str, str], int]:
        try:
            asked = Provision.from_json(request.get_data(), allow_private=ON_THIS_MACHINE)
        except ConfigurationError as error:
            return {"message": str(error)}, 422
        record.add(asked)
        resource = record.resource(asked.id)
        if resource and not resource.refresh_token:
            try:
                record.store_tokens(asked.id, api.exchange(asked))
            except LookupFailed:
                # Heroku repeats the request.
                return {"message": "try again"}, 503
            log.info("customer added", extra={"customer": asked.id, "plan": asked.plan})
            with use_stream(asked.id):
                log.info("welcome")
        return {"id": asked.id}, 200

    @app.put("/heroku/resources/<customer>")
    def change_plan(customer: str) -> tuple[dict[str, str], int]:
        plan = str(request.get_json()["plan"])
        if not record.change_plan(customer, plan):
            return {"message": "gone"}, 410
        # The stream stays the same: its URL does not depend on the plan.
        with use_stream(customer):
            log.info("plan changed", extra={"plan": plan})
        return {"message": f"You have the plan {plan} now."}, 200

    @app.delete("/heroku/resources/<customer>")
    def deprovision(customer: str) -> tuple[dict[str, str], int]:
        # Heroku ends the URL by itself. As soon as it is refused, the handler finds no customer on
        # record, and drops what other processes still log for it.
        if not record.remove(customer):
            return {"message": "gone"}, 410
        log.info("customer removed", extra={"customer": customer})
        return {}, 204

    return app


def connect(record: Record, heroku_url: str, procid: str) -> tuple[PlatformAPI, LogplexHandler]:
    """Set up logging in this process; each process has a handler of its own."""
    api = PlatformAPI(
        record.resource,
        client_secret=CLIENT_SECRET,
        on_tokens=record.store_tokens,
        on_rotate=record.store_url,
        allow_private=ON_THIS_MACHINE,
        # With Heroku, leave these out.
        api_url=heroku_url,
        id_url=heroku_url,
    )
    handler = LogplexHandler(streams=api, procid=procid)
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    return api, handler


def ship(record: Record, orders: range) -> None:
    """Do the add-on's work, for one customer after the other."""
    for order in orders:
        for customer in record.customers():
            with use_stream(customer):
                log.info("order shipped", extra={"order": order})


def work(path: Path, heroku_url: str, orders: range) -> None:
    """The whole life of a worker process."""
    record = Record(path)
    _, handler = connect(record, heroku_url, procid="worker.1")
    ship(record, orders)
    # A new URL may take longer than the end of a process waits for by itself.
    handler.flush(timeout=20)


def main(logplex: LogplexReceiver, directory: Path) -> None:
    path = directory / "customers.sqlite"
    heroku = StandIn(logplex)
    with served(heroku.app) as heroku_url:
        record = Record(path)
        api, handler = connect(record, heroku_url, procid="web.1")
        with served(partner_app(record, api)) as partner_url:
            for customer in CUSTOMERS:
                heroku.provision(partner_url, customer)
                heroku.provision(partner_url, customer)
            ship(record, range(1, 4))
            handler.flush(timeout=20)

            # Both processes still have the old URL.
            heroku.rotate(CUSTOMERS[0])
            worker = multiprocessing.get_context("spawn").Process(
                target=work, args=(path, heroku_url, range(11, 14))
            )
            worker.start()
            ship(record, range(4, 7))
            worker.join()
            handler.flush(timeout=20)

            heroku.change_plan(partner_url, CUSTOMERS[0], "premium")
            heroku.deprovision(partner_url, CUSTOMERS[1])
            ship(record, range(7, 8))
            handler.flush(timeout=20)
        handler.close()
        stats = handler.stats()
    for customer in CUSTOMERS:
        print(f"\nCustomer {customer} sees:", *heroku.seen_by(customer), sep="\n")
    print(f"\nweb.1: {stats.delivered} of {stats.accepted} records delivered\n")


# From here on: the stand-in for Heroku.

CUSTOMERS = [f"{number}1234567-89ab-cdef-0123-456789abcdef" for number in range(2)]


class StandIn:
    """Stands in for Heroku: has customers, and rotates their URLs and tokens."""

    def __init__(self, logplex: LogplexReceiver) -> None:
        self._logplex = logplex
        self._tokens = {customer: [_new("t")] for customer in CUSTOMERS}
        self._access = {customer: _new("access") for customer in CUSTOMERS}
        self._refresh = {customer: _new("refresh") for customer in CUSTOMERS}
        self._own = logplex.token
        self._accept_tokens()
        self.app = Flask("heroku")
        self.app.post("/oauth/token")(self._exchange_tokens)
        self.app.get("/addons/<customer>/addon-attachments")(self._attachments)

    def _accept_tokens(self) -> None:
        self._logplex.tokens = (self._own, *[tokens[-1] for tokens in self._tokens.values()])

    def provision(self, partner: str, customer: str) -> None:
        """Add the add-on to a customer's app."""
        requests.post(
            f"{partner}/heroku/resources",
            json={
                "uuid": customer,
                "plan": "basic",
                "log_input_url": self._logplex.url_for(self._tokens[customer][-1]),
                "oauth_grant": {"code": f"code-of-{customer}", "type": "authorization_code"},
            },
            auth=(MANIFEST_ID, PASSWORD),
            timeout=5,
        ).raise_for_status()

    def rotate(self, customer: str) -> None:
        """Refuse the customer's old URL and access token from now on."""
        self._tokens[customer].append(_new("t"))
        self._access[customer] = _new("access")
        self._accept_tokens()

    def change_plan(self, partner: str, customer: str, plan: str) -> None:
        """Give the customer another plan."""
        requests.put(
            f"{partner}/heroku/resources/{customer}",
            json={"plan": plan},
            auth=(MANIFEST_ID, PASSWORD),
            timeout=5,
        ).raise_for_status()

    def deprovision(self, partner: str, customer: str) -> None:
        """Remove the add-on from the customer's app, and refuse its URL."""
        requests.delete(
            f"{partner}/heroku/resources/{customer}", auth=(MANIFEST_ID, PASSWORD), timeout=5
        ).raise_for_status()
        self._tokens[customer].append(_new("t"))
        self._accept_tokens()

    def seen_by(self, customer: str) -> list[str]:
        """The lines of a customer, by process: there is an order only within each."""
        lines = [line for line in self._logplex.lines if line.token in self._tokens[customer]]
        return [str(line) for line in sorted(lines, key=lambda line: line.packet.procid)]

    def _exchange_tokens(self) -> tuple[dict[str, Any], int]:
        grant = request.form.get("code") or request.form.get("refresh_token")
        for customer, refresh in self._refresh.items():
            if grant in (f"code-of-{customer}", refresh):
                answer = {"access_token": self._access[customer], "refresh_token": refresh}
                return answer | {"expires_in": 28799}, 200
        return {}, 401

    def _attachments(self, customer: str) -> tuple[list[dict[str, Any]], int]:
        if request.headers["Authorization"] != f"Bearer {self._access[customer]}":
            return [], 401
        url = self._logplex.url_for(self._tokens[customer][-1])
        return [{"app": {"id": f"app-of-{customer}"}, "log_input_url": url}], 200


def _new(kind: str) -> str:
    return f"{kind}.{uuid.uuid4()}"


@contextmanager
def served(app: Flask) -> Generator[str, None, None]:
    """Serve the app on a loopback port during a `with` block."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    with LogplexReceiver() as logplex, tempfile.TemporaryDirectory() as directory:
        own = logplex.token
        if not os.environ.get("LOGPLEX_URL"):
            os.environ["LOGPLEX_URL"] = logplex.url
        main(logplex, Path(directory))
        print(*[line for line in logplex.lines if line.token == own], sep="\n")
