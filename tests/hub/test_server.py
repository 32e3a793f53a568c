"""The server of the tests does what it is told, and counts what it sends: other tests rely on both."""

from __future__ import annotations

import http.client
import json
import time

import pytest
from tests.hub.faults import (
    Fault,
    chunked,
    content_range,
    cut,
    instead,
    no_ranges,
    redirect,
    reset,
    slow,
    stall,
    status,
)
from tests.hub.server import RECORD, Server

DATA = bytes(range(256)) * 1000


@pytest.fixture
def client(server: Server):
    server.files["/a"] = DATA
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=0.2)
    yield client
    client.close()


def get(client: http.client.HTTPConnection, first: int | None = None, path: str = "/a") -> http.client.HTTPResponse:
    client.request("GET", path, headers={} if first is None else {"Range": f"bytes={first}-"})
    return client.getresponse()


def test_serves_files_whole_and_in_ranges(server: Server, client: http.client.HTTPConnection) -> None:
    assert get(client).read() == DATA
    part = get(client, 1000)
    assert (part.status, part.headers["Content-Range"]) == (206, f"bytes 1000-{len(DATA) - 1}/{len(DATA)}")
    assert part.read() == DATA[1000:]
    beyond = get(client, len(DATA))
    assert (beyond.status, beyond.headers["Content-Range"], beyond.read()) == (416, f"bytes */{len(DATA)}", b"")
    missing = get(client, path="/b")
    missing.read()
    assert missing.status == 404
    assert [(each.range, each.status, each.sent) for each in server.of("/a")] == [
        (None, 200, len(DATA)),
        ("bytes=1000-", 206, len(DATA) - 1000),
        (f"bytes={len(DATA)}-", 416, 0),
    ]


@pytest.mark.parametrize("after", [0, 1, 70_000, len(DATA)])
def test_cuts_after_exactly_as_many_bytes(server: Server, client: http.client.HTTPConnection, after: int) -> None:
    server.script("/a", cut(after))
    if after == len(DATA):
        assert get(client).read() == DATA
    else:
        with pytest.raises(http.client.IncompleteRead) as error:
            get(client).read()
        assert error.value.partial == DATA[:after]
    assert server.sent("/a") == after


@pytest.mark.parametrize("after", [1, 100_000])
def test_resets_after_exactly_as_many_bytes(server: Server, client: http.client.HTTPConnection, after: int) -> None:
    server.script("/a", reset(after))
    answer, got = get(client), bytearray()

    def read() -> None:
        while piece := answer.read1(1 << 20):
            got.extend(piece)

    with pytest.raises(ConnectionResetError):
        read()
    answer.close()
    assert got == DATA[:after]


@pytest.mark.parametrize("fault", [stall(10), Fault(silent=True)])
def test_stalls(server: Server, client: http.client.HTTPConnection, fault: Fault) -> None:
    server.script("/a", fault)
    with pytest.raises(TimeoutError):
        get(client).read()


def test_faults_come_in_their_order_and_then_the_one_that_stays(server: Server, client: object) -> None:
    server.script("/a", status(503, Retry_After="3"), redirect("/b"), content_range("bytes 1-2/3"), no_ranges())
    server.always("/a", instead(b"other"))
    answers = []
    for _ in range(6):
        answer = get(client, 2)
        answers.append((answer.status, answer.headers["Content-Range"], len(answer.read())))
    assert answers[:2] == [(503, None, 16), (302, None, 16)]
    assert answers[2:4] == [(206, "bytes 1-2/3", len(DATA) - 2), (200, None, len(DATA))]
    assert answers[4:] == [(206, "bytes 2-4/5", 3)] * 2


def test_sends_in_chunks_and_cuts_them(server: Server, client: http.client.HTTPConnection) -> None:
    server.script("/a", chunked(), chunked(5000))
    whole = get(client)
    assert whole.headers["Content-Length"] is None
    assert whole.read() == DATA
    with pytest.raises(http.client.IncompleteRead) as error:
        get(client).read()
    assert error.value.partial == DATA[:5000]


def test_sends_slowly(server: Server, client: http.client.HTTPConnection) -> None:
    server.script("/a", slow(len(DATA) / 0.2))
    started = time.perf_counter()
    assert get(client).read() == DATA
    assert time.perf_counter() - started > 0.15


def test_lists_files_as_the_record_does(server: Server, client: http.client.HTTPConnection) -> None:
    server.record({"bus.zip": DATA})
    (entry,) = json.loads(get(client, path=RECORD).read())["files"]
    assert (entry["key"], entry["size"], entry["checksum"][:4]) == ("bus.zip", len(DATA), "md5:")
    assert get(client, path=entry["links"]["self"].removeprefix(server.url())).read() == DATA
