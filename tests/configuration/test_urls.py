"""Valid and malformed URLs; no error shows the secrets in them."""

from __future__ import annotations

import logging
import logging.config
import os
from collections import deque
from typing import Any

import pytest
import requests

from logplex_handler import ConfigurationError, LogplexHandler
from logplex_handler.streams import Destination
from tests.configuration.shared import (
    DRAIN_TOKEN,
    TOKEN,
    USER,
    chain,
    dict_config,
    packet,
    record,
    told,
)

BARE_URL = "https://logplex.example/logs"

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


every_bad_url = pytest.mark.parametrize(
    "url", BAD_URLS, ids=[f"{number:02}" for number in range(len(BAD_URLS))]
)


@every_bad_url
def test_a_malformed_url_is_not_shown(url):
    """The error names the fault; neither it nor any frame of the package holds URL or token."""
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
