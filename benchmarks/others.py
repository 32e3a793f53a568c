"""How busy other processes kept the machine meanwhile.

A second process that works makes small parallel operations wait for each other: it slows one side thirty times and the
other hardly. Medians do not help where that lasts, so runs are told apart by this cause, never by their figures.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path

SHARE = 0.05  # of all processors' time that others may use
GRACE = 0.03  # seconds: the system counts in ticks of a hundredth
PR_SET_CHILD_SUBREAPER = 36  # of linux/prctl.h
REAP_SECONDS = 5
GLANCE = 0.5  # seconds that tell whether others are busy


class Others:
    """Counts from its making on; only Linux tells, elsewhere others count as idle.

    Workers must have ended when it is asked: the system counts children when they are gone.
    """

    def __init__(self) -> None:
        _adopt()
        self._started = time.perf_counter()
        self._busy, self._own = _busy_seconds(), _own_seconds()

    def disturbed(self) -> bool:
        """Return whether others used more than a small share of the processors."""
        _reap()
        allowed = SHARE * (time.perf_counter() - self._started) * (os.cpu_count() or 1) + GRACE
        return _busy_seconds() - self._busy - (_own_seconds() - self._own) > allowed


class Patience:
    """So many seconds for waiting until others are done, and for runs that they disturbed."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def spend(self, seconds: float) -> bool:
        """Return whether there was patience left, and take the seconds off it."""
        left, self._left = self._left, self._left - seconds
        return left > 0

    def wait(self) -> None:
        """Return when others are idle, or when there is no patience left."""
        while True:
            others = Others()
            time.sleep(GLANCE)
            if not others.disturbed() or not self.spend(GLANCE):
                return


def _busy_seconds() -> float:
    """Return the time that all processors have worked, for anyone, since the system started."""
    try:
        ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    except (OSError, ValueError, IndexError):
        return 0.0
    idle, waiting = ticks[3:5]
    return (sum(ticks) - idle - waiting) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    return sum(os.times()[:4])  # of this process and of its children


def _adopt() -> None:
    """Become the parent of processes whose own has ended, such as a fork server, so that their time counts as ours."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap() -> None:
    """Wait for adopted processes to end: only then does the system count their time and that of their children."""
    until = time.monotonic() + REAP_SECONDS
    while time.monotonic() < until:
        try:
            process, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not process:
            time.sleep(0.01)
