"""Fixtures of downloads: a server on loopback, and archives in the released layout."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.hub.releases import ReleasedArchives, make_releases
from tests.hub.server import Server

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the environment says about proxies and certificates: the tests say it themselves."""
    for name in (*PROXIES, *map(str.upper, PROXIES), *BUNDLES):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    """Serve on loopback what a test puts there."""
    with Server() as server:
        yield server


@pytest.fixture
def tls_server() -> Iterator[Server]:
    """Serve by HTTPS, with a certificate that nobody knows."""
    with Server(tls=True) as server:
        yield server


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> ReleasedArchives:
    """Pack synthetic datasets as the release's archives, once a session. Copy what you change."""
    return make_releases(tmp_path_factory.mktemp("releases"))
