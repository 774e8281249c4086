"""A relay behind TLS, whose certificate is always checked."""

from __future__ import annotations

import pytest
import trustme

from logplex_handler._relay.redis_engine import RedisEngine
from logplex_handler.errors import ConfigurationError
from tests.relay.chunks import Producer
from tests.relay.servers import RedisServer
from tests.servers import free_port

pytestmark = pytest.mark.usefixtures("relay_server")


def _start(folder, *names):
    """A server with a certificate for these names; its URL, and the file of the authority."""
    folder.mkdir()
    authority = trustme.CA()
    certificate = authority.issue_cert(*names)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    port = free_port()
    server = RedisServer(
        folder / "data",
        *("--tls-port", str(port), "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(folder / "cert.pem"), "--tls-key-file", str(folder / "key.pem")),
        *("--tls-ca-cert-file", str(folder / "ca.pem")),
    )
    return server, f"rediss://127.0.0.1:{port}", str(folder / "ca.pem")


def test_a_certificate_is_checked_and_its_authority_may_be_given(tmp_path):
    try:
        server, url, ca = _start(tmp_path / "good", "127.0.0.1")
    except ChildProcessError:
        pytest.skip("this redis-server knows no TLS")
    other, other_url, other_ca = _start(tmp_path / "other", "other.example")
    try:
        engine = RedisEngine(url, ca=ca, shards=1, timeout=100)
        Producer().push(engine, "a", "1")
        engine.close()
        for wrong_url, wrong_ca in ((url, None), (url, other_ca), (other_url, other_ca)):
            engine = RedisEngine(wrong_url, ca=wrong_ca, shards=1, timeout=100)
            with pytest.raises(ConfigurationError, match=r"certificate of .* cannot be verified"):
                engine.check()
            engine.close()
    finally:
        server.kill()
        other.kill()
