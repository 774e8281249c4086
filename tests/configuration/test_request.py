"""How headers, credentials and the URL's scheme shape a request."""

from __future__ import annotations

import io
import re

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

from logplex_handler import LogplexHandler
from logplex_handler.testing import LogplexReceiver
from tests.configuration.shared import (
    LIBRARY,
    PROGRAM,
    TOKEN,
    USER,
    packet,
    record,
    run,
    texts,
)


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
