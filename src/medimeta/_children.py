"""What processes have in common that are started to work for this one."""

from __future__ import annotations

import multiprocessing
import multiprocessing.resource_tracker
import signal
import threading
from collections.abc import Sequence
from os import _exit


def start_method() -> str:
    """Return how workers are started: not by fork, as the caller may have threads (torch, a progress bar).

    A forked child could inherit a lock that is held.
    """
    return "forkserver" if has_forkserver() else "spawn"


def has_forkserver() -> bool:
    """Return whether this system can start workers from a process that has their libraries already."""
    return "forkserver" in multiprocessing.get_all_start_methods()


def start_forkserver(preloaded: Sequence[str]) -> None:
    """Start the process that starts workers, so that neither it nor they take notice of Ctrl-C, from the first moment.

    A worker that ended by it while it starts would break the pool, just as this process ends the pool by itself. They
    inherit that the signal is held back; here it only comes later.
    """
    from multiprocessing.forkserver import ensure_running  # not on Windows

    multiprocessing.get_context("forkserver").set_forkserver_preload(list(preloaded))
    # Else it is started by the next call, which lets the signal through again.
    multiprocessing.resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it ends: a killed parent cannot tell its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            _exit(1)

        threading.Thread(target=follow, daemon=True).start()
