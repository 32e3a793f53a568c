"""When an attempt is made again, how long is waited before, and when it is given up.

Attempts are counted in a row: one that brings new bytes starts the count anew, so that a connection that breaks again
and again gets a file through in the end. Where no connection could be made so far, fewer attempts tell that there is
no network. Waits double, with jitter, so that many who were cut off together do not come back together; a server that
says how long to wait is obeyed, within a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NoReturn, TypeVar

import numpy as np
from tenacity import RetryCallState, Retrying, retry_if_exception_type

from medimeta.errors import UnreachableError
from medimeta.hub.answer import PassingError, host_of, shown
from medimeta.hub.telling import Teller
from medimeta.store.disk import room

LONGEST_BACK_OFF = 60.0  # seconds
FIRST_TRIES = 3  # where no connection could be made so far
T = TypeVar("T")


def _nothing() -> int:
    return 0


@dataclass
class Job:
    """What is tried, and how far it is.

    Attributes
    ----------
    url : str
        The address.
    attempt : callable
        Makes one attempt; raises `PassingError` where another may do better.
    reached : callable
        Returns how many bytes are there; more of them than ever start the count of attempts anew.
    size : int
        How many bytes there should be; 0 where it is not known.
    """

    url: str
    attempt: Callable[[], object]
    reached: Callable[[], int] = _nothing
    size: int = 0


@dataclass
class Patience:
    """How often is tried, and how long waited.

    Attributes
    ----------
    tries : int
        Attempts in a row that may bring nothing.
    wait : float
        Seconds, about, before the second of them; each wait is twice as long as the one before.
    longest : float
        Seconds that a server may ask to wait.
    rng : numpy.random.Generator
        Decides the jitter.
    """

    tries: int = 6
    wait: float = 1.0
    longest: float = 600.0
    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    def persist(self, job: Job, teller: Teller) -> None:
        """Make attempts until one succeeds.

        Raises
        ------
        UnreachableError
            Too many failed in a row, or the server asks to wait for too long.
        Stopped
            It was asked to stop.
        """
        row = _Row(self, job, teller)
        Retrying(
            retry=retry_if_exception_type(PassingError),
            wait=row.wait,
            stop=row.is_over,
            before_sleep=row.tell,
            sleep=teller.wait,
            retry_error_callback=row.give_up,
        )(row.attempt)


class _Row:
    """Attempts in a row."""

    def __init__(self, patience: Patience, job: Job, teller: Teller) -> None:
        self._patience, self._job, self._teller = patience, job, teller
        self._furthest = job.reached()
        self._failed = 0  # in a row, without a new byte
        self._connected = False  # ever

    def attempt(self) -> None:
        try:
            self._job.attempt()
        except PassingError as failure:
            self._teller.check()  # to stop, connections are broken off on purpose
            self._connected |= failure.connected
            reached = self._job.reached()
            self._failed = 0 if reached > self._furthest else self._failed + 1
            self._furthest = max(self._furthest, reached)
            raise

    @property
    def _tries(self) -> int:
        return self._patience.tries if self._connected else min(self._patience.tries, FIRST_TRIES)

    def wait(self, state: RetryCallState) -> float:
        """Return how long to wait, in seconds."""
        back_off = min(LONGEST_BACK_OFF, self._patience.wait * 2.0 ** min(max(self._failed - 1, 0), 32))
        return _failure(state).after + back_off * self._patience.rng.uniform(0.5, 1.0)

    def is_over(self, state: RetryCallState) -> bool:
        return self._failed >= self._tries or _failure(state).after > self._patience.longest

    def tell(self, state: RetryCallState) -> None:
        """Tell what happened, and what comes next."""
        seconds = state.next_action.sleep if state.next_action else 0.0
        again = f"Going on from {room(self._furthest)} on" if self._furthest else "Trying again"
        number = f", try {self._failed + 1} of {self._tries}" if self._failed else ""
        self._teller.note(f"{host_of(self._job.url)}: {_failure(state).reason}. {again} in {_time(seconds)}{number}.")

    def give_up(self, state: RetryCallState) -> NoReturn:
        failure = _failure(state)
        if failure.after > self._patience.longest:
            again = datetime.now(UTC) + timedelta(seconds=failure.after)
            what = (
                f"{failure.reason}, and asks to wait for {_time(failure.after)}. "
                f"Come again after {again:%Y-%m-%d %H:%M} UTC."
            )
        else:
            times = f", {self._failed} times in a row" if self._failed > 1 else ""
            what = f"{failure.reason}{times}. {failure.way_out}".rstrip()
        if self._job.size:
            what += (
                f" {room(self._furthest)} of {room(self._job.size)} are kept; the same command goes on from there."
                if self._furthest
                else " The same command tries again."
            )
        raise UnreachableError(f"{shown(self._job.url)}: {what}") from failure


def _failure(state: RetryCallState) -> PassingError:
    error = state.outcome.exception() if state.outcome else None
    if not isinstance(error, PassingError):  # only these are tried again
        raise TypeError(f"not a failure: {error!r}")
    return error


def _time(seconds: float) -> str:
    """Return a time for people.

    Examples
    --------
    >>> _time(0.4), _time(20), _time(600), _time(9000)
    ('0.4 s', '20 s', '10 min', '2.5 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
