"""Listings are read within bounds, redirects followed within reason, and the environment's network is used."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.hub.faults import chunked, cut, redirect, silence, stall, status
from tests.hub.server import CERTIFICATE, Server
from tests.hub.transfers import DATA, PATH, Told, publish, quick

from medimeta.errors import ListingError, NotPublishedError, UnreachableError
from medimeta.hub.answer import RefusedError
from medimeta.hub.client import REDIRECTS
from medimeta.hub.telling import Stopped
from medimeta.hub.transfer import fetch


def read(url: str, limit: int = 1 << 20, **options: Any) -> bytes:
    with quick(**options) as client:
        return client.read(url, limit, Told())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_reads_what_is_there(server: Server) -> None:
    server.files["/a"] = DATA
    server.script("/a", cut(1000), status(503))
    assert read(server.url("/a")) == DATA


@pytest.mark.parametrize("path", ["/a", "/chunked"])
def test_reads_no_more_than_a_bound(server: Server, path: str) -> None:
    server.files[path] = DATA
    server.always("/chunked", chunked())
    assert read(server.url(path), len(DATA)) == DATA
    with pytest.raises(ListingError, match=r"is longer than 0\.3 MB, so it is no listing"):
        read(server.url(path), len(DATA) - 1)


@pytest.mark.parametrize(
    ("code", "kind"), [(404, NotPublishedError), (403, RefusedError), (206, UnreachableError), (400, UnreachableError)]
)
def test_what_cannot_be_read_is_told_with_its_address(server: Server, code: int, kind: type[Exception]) -> None:
    server.always("/a", status(code))
    with pytest.raises(kind, match=f"^{server.url('/a')}: .*{code}"):
        read(server.url("/a"))


def test_follows_redirects(server: Server, tmp_path: Path) -> None:
    """From one place to another, with the range that is asked for."""
    file = replace(publish(server, path="/there.zip"), urls=(server.url("/here.zip"),))
    server.always("/here.zip", redirect("/there.zip"))
    server.script("/there.zip", cut(1000))
    with quick() as client:
        assert fetch(client, file, tmp_path / "bus.zip", Told()) == server.url("/here.zip")
    assert (tmp_path / "bus.zip").read_bytes() == DATA
    assert server.sent("/there.zip") == len(DATA)


def test_redirects_that_never_end(server: Server) -> None:
    server.always("/a", redirect("/b"))
    server.always("/b", redirect("/a"))
    with pytest.raises(UnreachableError, match=f"{server.url('/a')}: leads on and on"):
        read(server.url("/a"))
    assert len(server.requests) == REDIRECTS + 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://[", "ftp://127.0.0.1/a"])
def test_redirects_to_what_is_no_address_of_http(server: Server, target: str) -> None:
    server.always("/a", redirect(target))
    with pytest.raises(UnreachableError, match=f"^{server.url('/a')}: "):
        read(server.url("/a"))


def test_the_body_of_a_redirect_is_not_read(server: Server) -> None:
    """It may be as long as it likes."""
    server.files["/b"] = b"here"
    server.script("/a", replace(redirect("/b"), cut=0, how="stall"))
    assert read(server.url("/a"), timeout=2.0) == b"here"


def test_from_https_to_http_is_not_followed(
    server: Server, tls_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    server.files["/a"] = b"changed by others"
    tls_server.always("/a", redirect(server.url("/a")))
    with pytest.raises(UnreachableError, match=f"{tls_server.url('/a')}: leads from https to {server.url('/a')}"):
        read(tls_server.url("/a"))
    assert server.requests == []
    server.always("/b", redirect(tls_server.url("/c")))
    tls_server.files["/c"] = b"the other way"
    assert read(server.url("/b")) == b"the other way"


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"])
def test_certificates_are_checked_against_the_bundle_of_the_environment(
    tls_server: Server, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    tls_server.files["/a"] = DATA
    told = Told()
    with quick() as client, pytest.raises(UnreachableError) as error:
        client.read(tls_server.url("/a"), 1 << 20, told)
    assert "the server's certificate cannot be trusted (self-signed certificate)" in str(error.value)
    assert "SSL_CERT_FILE or REQUESTS_CA_BUNDLE" in str(error.value)
    assert told.waits == []  # another attempt would not make it better
    monkeypatch.setenv(variable, str(CERTIFICATE))
    assert read(tls_server.url("/a")) == DATA


def test_a_bundle_that_is_not_there_is_named(tls_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/absent.pem")
    with pytest.raises(UnreachableError, match=r"/absent\.pem"):
        read(tls_server.url("/a"))


def test_https_at_a_server_that_speaks_http(server: Server) -> None:
    with pytest.raises(UnreachableError, match="no secure connection .*, 3 times in a row"):
        read(server.url("/a").replace("http:", "https:"))


def test_the_proxy_of_the_environment_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever host is asked for, the proxy plays it; what NO_PROXY names is asked itself."""
    with Server() as proxy:
        proxy.files["/a"] = b"from the proxy"
        server.files["/a"] = b"from the server"
        monkeypatch.setenv("HTTP_PROXY", proxy.url())
        monkeypatch.setenv("http_proxy", proxy.url())
        assert read("http://zenodo.example/a") == b"from the proxy"
        assert [request.target for request in proxy.requests] == ["http://zenodo.example/a"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert read(server.url("/a")) == b"from the server"
        assert len(proxy.requests) == 1


def test_https_goes_through_the_proxy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as proxy:
        proxy.files["/a"] = DATA
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        assert read("https://localhost:1/a") == DATA
    assert [request.path for request in proxy.requests] == ["/a"]


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://me:secret@127.0.0.1:{free_port()}")
    with pytest.raises(UnreachableError, match=r"the proxy does not let it through .*HTTPS_PROXY") as error:
        read("http://zenodo.example/a")
    assert "secret" not in str(error.value)


def test_nobody_listens() -> None:
    with pytest.raises(UnreachableError, match="the connection was refused, 3 times in a row. Check the network"):
        read(f"http://127.0.0.1:{free_port()}/a")


def test_an_unknown_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is without a network: no name is found."""

    def unknown(*arguments: object, **options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UnreachableError, match=r"there is no host zenodo\.example, or no network, 3 times in a row"):
        read("http://zenodo.example/a")


@pytest.mark.parametrize("url", ["http://[::1/a", "http:///a", "zenodo/a", "http://a b/c", "http://127.0.0.1:99999/"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(UnreachableError):
        read(url)


def test_a_server_that_does_not_speak_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(UnreachableError, match="does not answer as HTTP wants it"):
            read(f"http://127.0.0.1:{listening.getsockname()[1]}/a", tries=1)
        thread.join()


def test_silence_ends_by_the_time_out(server: Server) -> None:
    server.always("/a", silence())
    with pytest.raises(UnreachableError, match="sent nothing for too long, 2 times"):
        read(server.url("/a"), timeout=0.05, tries=2)


def test_a_password_is_not_shown(server: Server) -> None:
    url = server.url("/a").replace("://", "://me:secret@")
    with pytest.raises(NotPublishedError) as error:
        read(url)
    assert "secret" not in str(error.value)
    assert server.requests[0].headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("tls", [False, True])
def test_closing_breaks_off_a_thread_that_waits_for_bytes(
    tls: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping takes no time, even where a server sends nothing; what came is kept."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    came, ended = threading.Event(), []
    with Server(tls=tls) as server, quick(timeout=60.0) as client:
        file = publish(server)
        server.always(PATH, stall(1000))
        told = Told(lambda step: came.set() if step.done == 1000 else None)

        def work() -> None:
            try:
                fetch(client, file, tmp_path / "bus.zip", told)
            except Stopped as stopped:
                ended.append(stopped)

        thread = threading.Thread(target=work)
        thread.start()
        assert came.wait(10)
        told.stop.set()
        client.close()
        thread.join(10)
    assert len(ended) == 1
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [DATA[:1000]]


def test_threads_share_a_client(server: Server, tmp_path: Path) -> None:
    files = [publish(server, DATA[number:], f"/{number}.zip") for number in range(8)]
    with quick() as client:
        threads = [threading.Thread(target=fetch, args=(client, file, tmp_path / file.key, Told())) for file in files]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [(tmp_path / file.key).read_bytes() for file in files] == [DATA[number:] for number in range(8)]
