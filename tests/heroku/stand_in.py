"""A local stand-in for Heroku's two partner APIs and its identity service."""

import base64
import itertools
import json
import threading
import time
import traceback
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

SECRET = "the-client-secret"
PASSWORD = "the-manifest's-password"

# A resource, and the URLs of its stream.
UUID = "01234567-89ab-cdef-0123-456789abcdef"
OLD = "https://token:t.old-secret@1.us.logplex.io/logs"
NEW = "https://token:t.new-secret@2.us.logplex.io/logs"
# What is in all that is not to be shown.
SECRETS = ("secret", "access-", "refresh-", PASSWORD, "the-grant")


@dataclass
class Addon:
    """A resource. `urls` is by app id, the first being that of the app it was made for."""

    urls: dict[str, str | None]
    access_token: str = "access-0"
    refresh_token: str = "refresh-0"
    code: str | None = "the-grant's-code"


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str] = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)


class Heroku:
    """Answers for the add-ons in `addons`, by id; answers in `planned` come first."""

    def __init__(self):
        self.addons: dict[str, Addon] = {}
        self.asked: list[Asked] = []
        # Whether a refresh token holds for one time only.
        self.renews_refresh_tokens = False
        # (status, headers), or an event or seconds to wait for before an ordinary answer.
        self.planned: deque = deque()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                stand_in._serve(self)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def looked_up(self):
        """The paths of the look-ups, in order."""
        return [asked.path for asked in self.asked if asked.method == "GET"]

    @property
    def forms(self):
        """The forms of the requests for tokens, in order."""
        return [asked.form for asked in self.asked if asked.method == "POST"]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(100)

    def _serve(self, http):
        body = http.rfile.read(int(http.headers.get("Content-Length", "0"))).decode()
        form = {name: value for name, (value,) in parse_qs(body).items()}
        asked = Asked(http.command, http.path, dict(http.headers), form)
        with self._lock:
            self.asked.append(asked)
            planned = self.planned.popleft() if self.planned else None
        if isinstance(planned, threading.Event):
            planned.wait(100)
            planned = None
        elif isinstance(planned, float):
            time.sleep(planned)
            planned = None
        with self._lock:
            status, document = (planned[0], {}) if planned else self._answer(asked)
        data = json.dumps(document).encode()
        http.send_response(status)
        for name, value in (planned[1] if planned else {}).items():
            http.send_header(name, value)
        http.send_header("Content-Length", str(len(data)))
        http.end_headers()
        http.wfile.write(data)

    def _answer(self, asked):
        parts = asked.path.strip("/").split("/")
        if asked.method == "POST" and parts == ["oauth", "token"]:
            return self._token(asked.form)
        if parts[:1] == ["addons"] and parts[2:] == ["addon-attachments"]:
            return self._attachments(self.addons.get(parts[1]), asked)
        if parts[:2] == ["vendor", "apps"] and len(parts) == 3:
            return self._app(self.addons.get(parts[2]), asked)
        return 404, {"id": "not_found"}

    def _token(self, form):
        if form.get("client_secret") != SECRET:
            return 401, {"id": "unauthorized"}
        for addon in self.addons.values():
            if form.get("grant_type") == "authorization_code" and form.get("code") == addon.code:
                addon.code = None
                break
            if form.get("refresh_token") == addon.refresh_token:
                break
        else:
            return 400, {"id": "invalid_grant"}
        number = next(self._numbers)
        addon.access_token = f"access-{number}"
        answer = {"access_token": addon.access_token, "expires_in": 28799, "token_type": "Bearer"}
        if self.renews_refresh_tokens or form["grant_type"] == "authorization_code":
            addon.refresh_token = f"refresh-{number}"
            answer["refresh_token"] = addon.refresh_token
        return 200, answer

    def _attachments(self, addon, asked):
        if asked.headers.get("Accept") != "application/vnd.heroku+json; version=3":
            return 406, {}
        if addon is None:
            return 404, {"id": "not_found"}
        if asked.headers.get("Authorization") != f"Bearer {addon.access_token}":
            return 401, {"id": "unauthorized"}
        return 200, [
            {
                "addon": {"id": "any", "app": {"id": next(iter(addon.urls))}},
                "app": {"id": app_id, "name": f"name-of-{app_id}"},
                "log_input_url": url,
            }
            for app_id, url in addon.urls.items()
        ]

    def _app(self, addon, asked):
        expected = base64.b64encode(f"my-addon:{PASSWORD}".encode()).decode()
        if asked.headers.get("Authorization") != f"Basic {expected}":
            return 401, {}
        if addon is None:
            return 404, {}
        app_id, url = next(iter(addon.urls.items()))
        return 200, {"id": app_id, "name": "any", "log_input_url": url}


@contextmanager
def standing_in():
    """A stand-in for a `with` block."""
    heroku = Heroku()
    try:
        yield heroku
    finally:
        heroku.close()


def check_hidden(error):
    """Neither the error's text nor the variables of the package's frames hold a secret."""
    assert error.__cause__ is None
    assert error.__context__ is None
    shown = [str(error), repr(error)]
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_globals["__name__"].startswith("logplex_handler"):
            for value in frame.f_locals.values():
                if isinstance(value, type):
                    continue
                shown += [repr(value), repr(getattr(value, "__dict__", None))]
    assert not any(secret in text for text in shown for secret in SECRETS)
