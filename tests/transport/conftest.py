"""A certificate authority for the TLS tests."""

import ssl

import pytest
import trustme


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A private CA: its certificate's path, and a server's context for 127.0.0.1 under it."""
    ca = trustme.CA()
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", "logplex.test").configure_cert(context)
    return str(path), context
