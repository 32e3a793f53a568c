"""What a download tells while it runs, and how it is asked to stop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["waiting", "fetching", "checking", "unpacking", "verifying", "done"]


@dataclass(frozen=True)
class Step:
    """How far the download of a dataset is.

    Attributes
    ----------
    dataset : str
        Id of the dataset.
    phase : str
        What is done now.
    done, total : int
        Bytes, or files where `phase` is verifying; `total` is 0 where it is not known.
    note : str
        What happened, such as a broken connection; empty for mere progress.
    """

    dataset: str
    phase: Phase
    done: int = 0
    total: int = 0
    note: str = ""


Progress = Callable[[Step], None]


class Stopped(BaseException):
    """The download was asked to stop. Not an error: nobody but the one who asked should catch it."""


class Teller:
    """Tells the steps of one dataset, from the thread that works on it.

    Parameters
    ----------
    dataset : str
        Id of the dataset.
    progress : callable, optional
        Takes each step.
    stop : threading.Event, optional
        Once set, `check` and `wait` raise `Stopped`.
    """

    def __init__(self, dataset: str, progress: Progress | None = None, stop: threading.Event | None = None) -> None:
        self.dataset = dataset
        self._progress = progress
        self._stop = stop or threading.Event()
        self._last = Step(dataset, "waiting")

    def step(self, phase: Phase, done: int = 0, total: int = 0) -> None:
        """Tell how far it is; raises `Stopped` where it was asked to stop."""
        self.check()
        self._tell(Step(self.dataset, phase, done, total))

    def note(self, text: str) -> None:
        """Tell what happened, at the step where it is."""
        last = self._last
        self._tell(Step(self.dataset, last.phase, last.done, last.total, text))

    def check(self) -> None:
        """Raise `Stopped` where it was asked to stop."""
        if self._stop.is_set():
            raise Stopped

    def wait(self, seconds: float) -> None:
        """Wait, unless it is asked to stop meanwhile: then `Stopped` is raised."""
        self._stop.wait(seconds)
        self.check()

    def _tell(self, step: Step) -> None:
        self._last = step
        if self._progress is not None:
            self._progress(step)
