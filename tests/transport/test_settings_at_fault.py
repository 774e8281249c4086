"""A setting of the environment that keeps requests from being sent is named, with the cure."""

import pytest

from logplex_handler._transport.transport import Transport
from logplex_handler.streams import Destination
from tests.logs import logging_to, wait_until
from tests.servers import TOKEN, accept, serving
from tests.transport.test_transport import options

HTTPS = f"https://token:{TOKEN}@logplex.test/logs"


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in ("https_proxy", "all_proxy", "http_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def answered(url=HTTPS, **given):
    transport = Transport(options(**given))
    destination = Destination.from_url(url, allow_http=True)
    answer = transport.post(destination, b"3 foo", frames=1, frame_id="an-id")
    transport.close()
    return answer


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_ca_bundle_that_is_not_there(variable, monkeypatch, tmp_path):
    monkeypatch.setenv(variable, str(tmp_path / "none"))
    answer = answered()
    assert answer.failure == f"{variable} names a CA bundle that is not there: correct it"
    assert (answer.was_tried, answer.maybe_delivered) == (False, False)


def test_a_ca_bundle_without_certificates(monkeypatch, tmp_path, authority):
    path = tmp_path / "junk"
    path.write_text("no certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with serving(accept, tls=authority[1]) as server:
        answer = answered(server.url)
    assert answer.failure.startswith("REQUESTS_CA_BUNDLE names a CA bundle without certificates")
    assert (answer.was_tried, answer.maybe_delivered) == (False, False)


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY"])
def test_a_socks_proxy_without_pysocks(variable, monkeypatch):
    monkeypatch.setattr("requests.adapters.SOCKSProxyManager", _missing)
    monkeypatch.setenv(variable, "socks5://user:s3cret@127.0.0.1:1")
    answer = answered()
    assert answer.failure == f"{variable} names a SOCKS proxy: pip install 'requests[socks]'"
    assert (answer.was_tried, answer.maybe_delivered) == (False, False)


def _missing(*args, **kwargs):
    """What requests has in its place where PySocks is not installed."""
    from requests.exceptions import InvalidSchema

    raise InvalidSchema("Missing dependencies for SOCKS support.")


@pytest.mark.parametrize(
    "url",
    [
        "http://", "http://[::1", "http://proxy:x", "http://127.0.0.1:99999", "ftp://127.0.0.1",
        "http://\u20ac:s3cret@127.0.0.1:1", f"http://{'a' * 300}:1", "http://.:1",
        "s3cret:x@host:1",
    ],
)  # fmt: skip
def test_a_proxy_that_is_none(monkeypatch, url):
    monkeypatch.setenv("HTTPS_PROXY", url)
    answer = answered()
    assert answer.failure == "HTTPS_PROXY names no proxy: correct or unset it"
    assert (answer.was_tried, answer.maybe_delivered) == (False, False)


def test_the_proxy_of_the_scheme_is_named(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:x")
    answer = answered(f"http://token:{TOKEN}@logplex.test/logs")
    assert answer.failure == "HTTP_PROXY names no proxy: correct or unset it"


def test_records_are_kept_and_nothing_counts_as_sent(monkeypatch, tmp_path, capsys, short_waits):
    """stderr names the variable and the cure, and shows no value of it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
    said = []
    with logging_to(HTTPS, shutdown_timeout=0.1) as (logger, handler):
        logger.info("line")
        handler.flush(0.5)
        assert wait_until(lambda: said.append(capsys.readouterr().err) or "".join(said))
        stats = handler.stats()
    assert "not delivering: REQUESTS_CA_BUNDLE names a CA bundle" in "".join(said)
    assert "none" not in "".join(said)
    assert (stats.pending, stats.requests, stats.retries) == (1, 0, 0)
    assert (stats.possible_duplicates, stats.bytes_sent) == (0, 0)
