"""How often is tried again, how long is waited, and what is said when it is given up."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from tests.hub.faults import Fault, cut, status
from tests.hub.server import Server
from tests.hub.transfers import DATA, PATH, Told, publish, quick

from medimeta.errors import UnreachableError
from medimeta.hub.answer import PassingError
from medimeta.hub.retrying import FIRST_TRIES, LONGEST_BACK_OFF, Job, Patience
from medimeta.hub.telling import Stopped
from medimeta.hub.transfer import fetch

URL = "https://zenodo.example/bus.zip"


def failing(*failures: PassingError, job: Job | None = None) -> Job:
    """Return a job whose attempts fail in turn, and then succeed."""
    left = list(failures)

    def attempt() -> None:
        if left:
            raise left.pop(0)

    return Job(URL, attempt)


def test_waits_double_with_jitter_up_to_a_bound() -> None:
    """Law: the wait before attempt n + 1 lies between half of wait * 2 ** (n - 1) and all of it."""
    told = Told()
    Patience(tries=20, wait=1.0).persist(failing(*[PassingError(URL, "broke")] * 12), told)
    bounds = [min(LONGEST_BACK_OFF, 2.0**number) for number in range(12)]
    assert all(bound / 2 <= wait <= bound for wait, bound in zip(told.waits, bounds, strict=True))


def test_the_seed_decides_the_jitter() -> None:
    def waits(seed: int) -> list[float]:
        told = Told()
        with quick(seed=seed) as client:
            client.patience.persist(failing(*[PassingError(URL, "broke")] * 5), told)
        return told.waits

    assert waits(1) == waits(1)
    assert waits(1) != waits(2)


def test_it_is_given_up_after_as_many_attempts_in_a_row() -> None:
    told = Told()
    with pytest.raises(UnreachableError) as error:
        Patience(tries=4).persist(failing(*[PassingError(URL, "it broke")] * 4), told)
    assert str(error.value) == f"{URL}: it broke, 4 times in a row."
    assert [note.rpartition(", ")[2] for note in told.notes] == ["try 2 of 4.", "try 3 of 4.", "try 4 of 4."]


def test_no_connection_at_all_is_given_up_sooner() -> None:
    never = PassingError(URL, "no network", connected=False, way_out="Check it.")
    told = Told()
    with pytest.raises(UnreachableError, match=f"no network, {FIRST_TRIES} times in a row. Check it."):
        Patience().persist(failing(*[never] * 9), told)
    # A network that goes away in between may come back.
    Patience(tries=6).persist(failing(never, PassingError(URL, "broke"), *[never] * 3), told)


def test_a_single_try_is_no_retry() -> None:
    told = Told()
    with pytest.raises(UnreachableError):
        Patience(tries=1).persist(failing(PassingError(URL, "broke")), told)
    assert told.steps == []


def test_stopping_ends_the_waiting() -> None:
    told = Told()
    told.on_step = lambda step: told.stop.set()
    with pytest.raises(Stopped):
        Patience().persist(failing(PassingError(URL, "broke")), told)


NOW = datetime(2023, 5, 2, 12, tzinfo=UTC)  # by the clock of the server, which may be another than ours


def at(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


def epoch(seconds: float) -> str:
    return f"{NOW.timestamp() + seconds:.0f}"


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [
        (status(429, Retry_After="7"), 7),
        (status(503, Retry_After="7"), 7),
        (status(429, Retry_After=at(90)), 90),
        (status(429, Retry_After=at(-90)), 0),
        (status(429, X_RateLimit_Reset=epoch(90)), 90),
        (status(429, X_RateLimit_Reset=epoch(-90)), 0),
        (status(429, X_RateLimit_Reset="40"), 40),
        (status(429, Retry_After="7", X_RateLimit_Reset=epoch(90)), 7),
        (status(503, X_RateLimit_Reset="40"), 0),
        (status(429), 0),
        (status(429, Retry_After="soon"), 0),
        (status(429, Retry_After="-5"), 0),
        (status(429, X_RateLimit_Reset="soon"), 0),
    ],
)
def test_what_a_server_asks_for_is_waited(server: Server, tmp_path: Path, fault: Fault, seconds: int) -> None:
    """In seconds or until a date (RFC 9110, section 10.2.3), or by the header of rate limits."""
    file, told = publish(server), Told()
    server.script(PATH, replace(fault, headers={"Date": at(0), **fault.headers}))
    with quick() as client:
        fetch(client, file, tmp_path / "bus.zip", told)
    (waited,) = told.waits
    assert 0 < waited - seconds <= 0.001  # and the jitter
    assert (tmp_path / "bus.zip").read_bytes() == DATA


@pytest.mark.parametrize("header", [{"Retry_After": "9000"}, {"X_RateLimit_Reset": "9000"}])
def test_a_server_that_asks_for_too_long_ends_it(server: Server, tmp_path: Path, header: dict[str, str]) -> None:
    file, told = publish(server), Told()
    server.script(PATH, cut(100_000), status(429, **header))
    with quick() as client, pytest.raises(UnreachableError) as error:
        fetch(client, file, tmp_path / "bus.zip", told)
    latest = datetime.now(UTC) + timedelta(seconds=9000)
    said = {
        f"{server.url(PATH)}: the server answers 429 Too Many Requests, and asks to wait for 2.5 h. Come again after "
        f"{again:%Y-%m-%d %H:%M} UTC. 0.1 MB of 0.3 MB are kept; the same command goes on from there."
        for again in (latest, latest - timedelta(minutes=1))
    }
    assert str(error.value) in said
    assert len(told.waits) == 1


@pytest.mark.parametrize("code", [408, 425, 429, 500, 502, 503, 504, 522])
def test_answers_that_may_pass_are_tried_again(server: Server, tmp_path: Path, code: int) -> None:
    file, told = publish(server), Told()
    server.script(PATH, status(code))
    with quick() as client:
        fetch(client, file, tmp_path / "bus.zip", told)
    assert f"the server answers {code}" in told.notes[0]
