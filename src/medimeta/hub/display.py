"""How a download is shown: a bar for each dataset with rate and time left; in a log, a line for each event."""

from __future__ import annotations

import math
import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from medimeta.hub.telling import Phase, Step
from medimeta.store.disk import room

QUIET_SECONDS = 10.0  # in a log, between two lines of one file


class DownloadDisplay:
    """Shows how downloads go; call it with each step, from any thread.

    Parameters
    ----------
    screen : Console, optional
        Where; standard error without it.
    """

    def __init__(self, screen: Console | None = None) -> None:
        self._screen = screen or Console(stderr=True, highlight=False, markup=False)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(24),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        shown = self._screen.is_terminal
        self._bars = Progress(*columns, console=self._screen, transient=True, disable=not shown)
        self._lines: dict[str, TaskID] = {}
        self._phases: dict[str, Phase] = {}
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def __call__(self, step: Step) -> None:
        """Show a step."""
        with self._lock:
            if step.note:
                self.say(f"{step.dataset}: {step.note}")
            elif self._screen.is_terminal:
                self._draw(step)
            else:
                self._log(step)
            self._phases[step.dataset] = step.phase

    def _draw(self, step: Step) -> None:
        if step.phase != self._phases.get(step.dataset):  # a bar of its own, as its rate is another
            old = self._lines.pop(step.dataset, None)
            if old is not None:
                self._bars.remove_task(old)
            if step.phase != "done":
                text = f"{step.dataset}: {step.phase}"
                # What lies there already was not fetched now, so it must not count for the rate.
                self._lines[step.dataset] = self._bars.add_task(text, total=step.total or None, completed=step.done)
        elif step.dataset in self._lines:
            self._bars.update(self._lines[step.dataset], completed=step.done, total=step.total or None)

    def _log(self, step: Step) -> None:
        new = step.phase != self._phases.get(step.dataset)
        now = time.monotonic()
        if not (new or now - self._said.get(step.dataset, -math.inf) > QUIET_SECONDS):
            return
        self._said[step.dataset] = now
        far = f" {room(step.done)} of {room(step.total)}" if step.total and step.phase != "done" else ""
        self.say(f"{step.dataset}: {step.phase}{far}")

    def say(self, text: str) -> None:
        """Show text above the bars; nothing where it is empty."""
        if text:
            self._screen.print(text, soft_wrap=True)
