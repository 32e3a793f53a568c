"""A file comes whole and right, whatever the server does, and no byte of it comes twice."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.hub.faults import WELL, Fault, chunked, content_range, cut, instead, no_ranges, reset, slow, stall, status
from tests.hub.server import Server
from tests.hub.transfers import DATA, PATH, Told, publish, quick

from medimeta.errors import ChecksumError, NotPublishedError, StoreError, UnreachableError
from medimeta.hub.answer import RefusedError
from medimeta.hub.telling import Step, Stopped
from medimeta.hub.transfer import fetch

SIZE = len(DATA)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "bus.zip"


def partials(target: Path) -> list[Path]:
    return [path for path in target.parent.iterdir() if path.name.endswith(".part")]


def test_brings_a_file_and_tells_how_far_it_is(server: Server, target: Path) -> None:
    told = Told()
    with quick() as client:
        assert fetch(client, publish(server), target, told) == server.url(PATH)
    assert target.read_bytes() == DATA
    assert partials(target) == []
    assert told.steps[0] == Step("bus", "fetching", 0, SIZE)
    assert told.steps[-1] == Step("bus", "fetching", SIZE, SIZE)
    assert [step.done for step in told.steps] == sorted(step.done for step in told.steps)
    (request,) = server.requests
    assert request.headers["user-agent"].startswith("medimeta/")
    assert request.headers["accept-encoding"] == "identity"
    assert (request.range, told.notes) == (None, [])


def test_a_right_file_that_is_there_needs_no_request(server: Server, target: Path) -> None:
    file, told = publish(server), Told()
    target.write_bytes(DATA)
    with quick() as client:
        assert fetch(client, file, target, told) == file.urls[0]
    assert server.requests == []
    assert {step.phase for step in told.steps} == {"checking"}


@pytest.mark.parametrize("there", [b"short", bytes(SIZE)])
def test_a_wrong_file_that_is_there_is_replaced(server: Server, target: Path, there: bytes) -> None:
    target.write_bytes(there)
    with quick() as client:
        fetch(client, publish(server), target, Told())
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("brk", [cut, reset])
def test_goes_on_after_breaks(server: Server, target: Path, brk: Callable[[int], Fault]) -> None:
    """What came is never asked for again."""
    server.script(PATH, brk(100_000), brk(0), brk(1))
    told = Told()
    with quick() as client:
        fetch(client, publish(server), target, told)
    assert target.read_bytes() == DATA
    assert [request.range for request in server.requests] == [None, "bytes=100000-", "bytes=100000-", "bytes=100001-"]
    assert server.sent(PATH) == SIZE
    assert len(told.notes) == len(told.waits) == 3
    assert "Going on from 0.1 MB" in told.notes[0]
    assert "try 2 of 6" in told.notes[1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.integers(0, SIZE),
    breaks=st.lists(st.tuples(st.integers(0, SIZE), st.sampled_from([cut, reset])), max_size=5),
)
def test_any_breaks_give_the_right_bytes_and_none_twice(
    server: Server, target: Path, size: int, breaks: list[tuple[int, Callable[[int], Fault]]]
) -> None:
    """Law: for any sequence of breaks the file is right, and what was sent adds up to its size."""
    server.clear()
    target.unlink(missing_ok=True)
    file = publish(server, DATA[:size])
    server.script(PATH, *(brk(after) for after, brk in breaks))
    with quick() as client:
        fetch(client, file, target, Told())
    assert target.read_bytes() == DATA[:size]
    assert server.sent(PATH) == size
    assert partials(target) == []


def test_the_next_run_goes_on_where_one_was_given_up(server: Server, target: Path) -> None:
    file = publish(server)
    server.script(PATH, cut(200_000), status(503), status(503))
    told = Told()
    with quick(tries=2) as client:
        with pytest.raises(UnreachableError) as error:
            fetch(client, file, target, Told())
        assert str(error.value) == (
            f"{server.url(PATH)}: the server answers 503 Service Unavailable, 2 times in a row. "
            f"Try later, or another --mirror. 0.2 MB of 0.3 MB are kept; the same command goes on from there."
        )
        assert not target.exists()
        assert [path.read_bytes() for path in partials(target)] == [DATA[:200_000]]
        fetch(client, file, target, told)
    assert target.read_bytes() == DATA
    assert server.sent(PATH) == SIZE + 2 * len("<html>503</html>")
    assert told.steps[0] == Step("bus", "checking", 200_000, SIZE)


def test_attempts_that_bring_something_do_not_count(server: Server, target: Path) -> None:
    """A bad connection gets a file through: 30 breaks, where 2 in a row end it."""
    server.script(PATH, *[cut(10_000), status(502)] * 30)
    with quick(tries=2) as client:
        fetch(client, publish(server), target, Told())
    assert target.read_bytes() == DATA


def test_what_was_left_for_other_content_is_not_gone_on_with(server: Server, target: Path) -> None:
    server.script(PATH, cut(1000), status(404))
    with quick() as client:
        with pytest.raises(NotPublishedError):
            fetch(client, publish(server), target, Told())
        new = publish(server, DATA[::-1])
        fetch(client, new, target, Told())
    assert target.read_bytes() == DATA[::-1]
    assert server.requests[-1].range is None


def test_a_damaged_partial_is_found_and_thrown_away(server: Server, target: Path) -> None:
    server.script(PATH, cut(1000), status(404))
    told = Told()
    with quick() as client:
        with pytest.raises(NotPublishedError):
            fetch(client, publish(server), target, Told())
        (partial,) = partials(target)
        partial.write_bytes(bytes(1000))
        fetch(client, publish(server), target, told)
    assert target.read_bytes() == DATA
    assert [request.range for request in server.requests] == [None, "bytes=1000-", "bytes=1000-", None]
    assert "fetched once more, from the start" in told.notes[0]


@pytest.mark.parametrize("fault", [no_ranges(), replace(no_ranges(), headers={}), replace(no_ranges(), chunked=True)])
def test_a_server_without_ranges(server: Server, target: Path, fault: Fault) -> None:
    """What comes again is skipped, never put behind what is there; the first answer that shows it is told, once."""
    server.script(PATH, replace(fault, cut=100_000), replace(fault, cut=50_000), replace(fault, cut=200_000))
    server.always(PATH, fault)
    told = Told()
    with quick() as client:
        fetch(client, publish(server), target, told)
    assert target.read_bytes() == DATA
    assert sum("from the start instead of going on" in note for note in told.notes) == 1
    assert [request.range for request in server.requests] == [None, "bytes=100000-", None, None]


def test_a_server_without_ranges_that_breaks_off_early_ends_it(server: Server, target: Path) -> None:
    """Bytes that are there already are no progress."""
    server.script(PATH, cut(100_000))
    server.always(PATH, replace(no_ranges(), cut=100_000))
    with quick() as client, pytest.raises(UnreachableError, match="6 times in a row"):
        fetch(client, publish(server), target, Told())


@pytest.mark.parametrize(
    "said", ["bytes 0-200000/300001", "bytes 99999-300000/300001", "bytes */300001", "lines 1-2/3", None]
)
def test_a_wrong_content_range_is_not_believed(server: Server, target: Path, said: str | None) -> None:
    server.script(PATH, cut(100_000), content_range(said))
    told = Told()
    with quick() as client:
        fetch(client, publish(server), target, told)
    assert target.read_bytes() == DATA
    assert [request.range for request in server.requests] == [None, "bytes=100000-", None]
    assert "another part" in told.notes[1]


def test_a_total_that_is_not_said_is_no_mismatch(server: Server, target: Path) -> None:
    server.script(PATH, cut(100_000), content_range("bytes 100000-300000/*"))
    with quick() as client:
        fetch(client, publish(server), target, Told())
    assert target.read_bytes() == DATA


def test_a_range_that_is_refused_is_not_asked_for_again(server: Server, target: Path) -> None:
    server.script(PATH, cut(100_000), status(416))
    with quick() as client:
        fetch(client, publish(server), target, Told())
    assert target.read_bytes() == DATA
    assert [request.range for request in server.requests] == [None, "bytes=100000-", None]


def test_a_file_that_became_shorter(server: Server, target: Path) -> None:
    file = publish(server)
    server.script(PATH, cut(100_000), replace(WELL, body=DATA[:90_000]))
    server.always(PATH, instead(DATA[:90_000]))
    with (
        quick() as client,
        pytest.raises(ChecksumError, match="90,000 bytes, fewer than came.* 0.1 MB that came before are kept"),
    ):
        fetch(client, file, target, Told())
    assert [request.status for request in server.requests] == [200, 416, 416]
    assert [path.stat().st_size for path in partials(target)] == [100_000]


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (instead(bytes(SIZE)), "expected md5:[0-9a-f]{32}, got md5:[0-9a-f]{32}"),
        (instead(DATA[:-1]), "expected 300,001 bytes, got 300,000"),
        (instead(DATA + b"1"), "expected 300,001 bytes, got 300,002"),
        (replace(instead(DATA + b"1"), chunked=True), "longer than was published: expected 300,001 bytes"),
        (replace(instead(b"<html>log in"), headers={"Content-Type": "text/html"}), "got 12 \\(text/html\\)"),
    ],
)
def test_wrong_content_is_fetched_once_more_and_then_told(
    server: Server, target: Path, fault: Fault, says: str
) -> None:
    file, told = publish(server), Told()
    with quick() as client:
        server.script(PATH, fault)
        fetch(client, file, target, told)
        assert target.read_bytes() == DATA
        assert len(told.notes) == 1
        target.unlink()
        server.script(PATH, fault, fault)
        with pytest.raises(ChecksumError, match=says) as error:
            fetch(client, file, target, told)
    assert str(error.value).startswith(server.url(PATH))
    assert "fetched twice" in str(error.value)
    assert [request.range for request in server.requests] == [None] * 4
    assert list(target.parent.iterdir()) == []


def test_a_body_without_length_that_ends_early_is_gone_on_with(server: Server, target: Path) -> None:
    server.script(PATH, chunked(100_000), chunked())
    with quick() as client:
        fetch(client, publish(server), target, Told())
    assert target.read_bytes() == DATA
    assert server.sent(PATH) == SIZE


def test_stalls_and_trickles_count_as_broken(server: Server, target: Path) -> None:
    server.script(PATH, stall(100_000), Fault(silent=True), Fault(rate=100))
    told = Told()
    with quick(timeout=0.1, slowest=(1000, 0.2)) as client:
        fetch(client, publish(server), target, told)
    assert target.read_bytes() == DATA
    assert "sent nothing for too long" in told.notes[0]
    assert "sent nothing for too long" in told.notes[1]
    assert "bytes came in" in told.notes[2]
    assert server.sent(PATH) < SIZE + 100


def test_addresses_are_tried_in_turn_while_they_do_not_have_it(server: Server, target: Path) -> None:
    file = publish(server)
    file = replace(file, urls=(server.url("/gone"), server.url("/forbidden"), *file.urls))
    server.script("/gone", status(410))
    server.script("/forbidden", status(403))
    with quick() as client:
        assert fetch(client, file, target, Told()) == server.url(PATH)
    assert target.read_bytes() == DATA


def test_what_is_at_no_address_is_told_with_all_of_them(server: Server, target: Path) -> None:
    file = replace(publish(server), urls=(server.url("/a.zip"), server.url("/a.tar")))
    with quick() as client, pytest.raises(NotPublishedError) as error:
        fetch(client, file, target, Told())
    assert error.value.problems == (
        f"{server.url('/a.zip')}: is not there (404 Not Found).",
        f"{server.url('/a.tar')}: is not there (404 Not Found).",
    )
    assert list(target.parent.iterdir()) == []


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_is_told_at_once(server: Server, target: Path, code: int) -> None:
    server.always(PATH, status(code))
    with quick() as client, pytest.raises(RefusedError, match=f"{server.url(PATH)}: the server refuses .*{code}"):
        fetch(client, publish(server), target, Told())
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [400, 405, 418, 501])
def test_other_answers_are_told_at_once(server: Server, target: Path, code: int) -> None:
    server.always(PATH, status(code))
    with quick() as client, pytest.raises(UnreachableError, match=f"the server answers {code}"):
        fetch(client, publish(server), target, Told())
    assert len(server.requests) == 1


def test_stopping_keeps_what_came(server: Server, target: Path) -> None:
    file, told = publish(server), Told()
    server.script(PATH, slow(2e6))

    def stop(step: Step) -> None:
        if step.done > 0:
            told.stop.set()

    told.on_step = stop
    with quick() as client:
        with pytest.raises(Stopped):
            fetch(client, file, target, told)
        (partial,) = partials(target)
        came = partial.read_bytes()
        assert DATA.startswith(came)
        assert came
        fetch(client, file, target, Told())
    assert server.requests[-1].range == f"bytes={len(came)}-"
    assert target.read_bytes() == DATA


def test_a_full_disk_keeps_what_came_and_says_what_is_missing(
    server: Server, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system does it: a write may take a part only, at the end what fits, and the next one fails."""
    file = publish(server)
    room = [160_000]

    class FullDisk:
        def __init__(self, file: object) -> None:
            self._file = file

        def write(self, block: memoryview) -> int:
            if not room[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written = self._file.write(block[: min(room[0], 7000)])
            room[0] -= written
            return written

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

    opened = Path.open
    monkeypatch.setattr(
        Path,
        "open",
        lambda path, mode="r", **options: (FullDisk if mode == "ab" else lambda file: file)(
            opened(path, mode, **options)
        ),
    )
    with quick() as client:
        with pytest.raises(StoreError, match=r"the disk is full\. .* free, and 0\.1 MB more are needed\. 0\.2 MB"):
            fetch(client, file, target, Told())
        assert [path.read_bytes() for path in partials(target)] == [DATA[:160_000]]
        room[0] = SIZE
        fetch(client, file, target, Told())
    assert target.read_bytes() == DATA
    assert [request.range for request in server.requests] == [None, "bytes=160000-"]


def test_what_a_planted_link_leads_to_is_not_written(server: Server, tmp_path: Path) -> None:
    file, other = publish(server), tmp_path / "precious"
    other.write_text("precious")
    (tmp_path / f".bus.zip.{file.checksum.value[:12]}.part").symlink_to(other)
    with quick() as client:
        fetch(client, file, tmp_path / "bus.zip", Told())
    assert (tmp_path / "bus.zip").read_bytes() == DATA
    assert other.read_text() == "precious"


PORTAL = replace(instead(b"<html>log in"), headers={"Content-Type": "text/\x1b[31mhtml"}, ranges=False)


@pytest.mark.parametrize("answer", [PORTAL, content_range("bytes 100000-300000/99"), replace(PORTAL, chunked=True)])
def test_an_answer_that_is_not_the_file_costs_nothing_of_what_came(server: Server, target: Path, answer: Fault) -> None:
    """A network's login page says nothing about the bytes that came before it."""
    file, told = publish(server), Told()
    server.script(PATH, cut(100_000), answer, answer)
    with quick(tries=2) as client:
        with pytest.raises((ChecksumError, UnreachableError), match=r"0\.1 MB .*are kept"):
            fetch(client, file, target, told)
        fetch(client, file, target, told)
    assert target.read_bytes() == DATA
    assert server.requests[-1].range == "bytes=100000-"
    assert all(note.isprintable() for note in told.notes)


@pytest.mark.parametrize("length", ["abc", "-1", None])
def test_the_end_of_an_answer_is_not_waited_for(server: Server, target: Path, length: str | None) -> None:
    """Once all bytes are here, no length is needed to know it."""
    file = publish(server)
    server.always(PATH, replace(WELL, headers={"Content-Length": length}))
    with quick(timeout=60.0) as client:
        fetch(client, file, target, Told())
    assert target.read_bytes() == DATA
    assert len(server.requests) == 1


def test_a_folder_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    with quick() as client, pytest.raises(StoreError, match="bus.zip: cannot be written"):
        fetch(client, publish(server), tmp_path / "absent" / "bus.zip", Told())
    assert server.requests == []


def test_without_a_checksum_the_size_is_checked(server: Server, target: Path) -> None:
    file = replace(publish(server), checksum=None)
    server.script(PATH, cut(100_000))
    with quick() as client:
        fetch(client, file, target, Told())
        assert target.read_bytes() == DATA
        target.unlink()
        server.always(PATH, instead(DATA[1:]))
        with pytest.raises(ChecksumError, match="expected 300,001 bytes, got 300,000"):
            fetch(client, file, target, Told())


def test_without_a_checksum_two_contents_are_never_put_together(server: Server, target: Path) -> None:
    """Neither within a run, where the ETag tells them apart, nor from one run to the next, where nothing does."""
    file, new = replace(publish(server), checksum=None), DATA[::-1]
    server.script(PATH, *[replace(cut(each), headers={"ETag": '"1"'}) for each in (100_000, *[0] * 6)])
    with quick() as client:
        with pytest.raises(UnreachableError):
            fetch(client, file, target, Told())
        assert [path.stat().st_size for path in partials(target)] == [100_000]
        server.files[PATH] = new
        fetch(client, file, target, Told())
        assert target.read_bytes() == new
        target.unlink()
        server.script(PATH, replace(cut(100_000), body=DATA, headers={"ETag": '"1"'}))
        server.always(PATH, replace(WELL, headers={"ETag": '"2"'}))
        fetch(client, file, target, Told())
    assert target.read_bytes() == new
