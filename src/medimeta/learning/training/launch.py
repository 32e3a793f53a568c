"""Starts the processes of this node that train together, listens to them, and leaves none behind."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

import torch
from torch import distributed

from medimeta._children import begin_worker
from medimeta._interrupts import held_back
from medimeta._processors import usable_processors
from medimeta.errors import MedimetaError, TrainingProcessError, UsageError
from medimeta.learning.training.processes import Group

Told = Callable[..., None]
"""Called as ``told(event, *values)`` with what a process has to tell."""
Work = Callable[[Group, Told], Any]
"""What each process does; it pickles."""

GRACE_SECONDS = 3.0  # for the others to say what they died of, after the first has failed
PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class _Done:
    """What a process returns."""

    result: Any


@dataclass(frozen=True)
class _Failed:
    """What has ended a process: an error for people, or one that was not foreseen, in words."""

    error: MedimetaError
    foreseen: bool


@dataclass
class _Process:
    """A process of this node."""

    rank: int
    process: Any
    messages: Connection
    end: _Done | _Failed | None = None


def launch(work: Work, group: Group, told: Told) -> Any:
    """Let the processes of this node do their work, and return what the first of them returns.

    Parameters
    ----------
    work : callable
        Called in each process as ``work(group, told)``, with the group as it is there.
    group : Group
        The processes that are to be started, and those of other nodes that they belong to.
    told : callable
        Called here with what the first process tells.

    Raises
    ------
    MedimetaError
        That of the process which failed first; the others are ended then.
    """
    if getattr(multiprocessing.process.current_process(), "_inheriting", False):
        raise UsageError(
            "processes start by running the calling script again, and it trained once more. Put the call under: "
            "if __name__ == '__main__':"
        )
    context = multiprocessing.get_context("spawn")  # threads of torch do not survive a fork
    started: list[_Process] = []
    try:
        for rank in range(group.devices):
            with held_back():  # Ctrl-C must not come between a start and its note
                started.append(_start(context, work, replace(group, local_rank=rank)))
        return _listen(started, told)
    finally:
        with held_back():
            for each in started:
                each.process.kill()
                each.process.join()
                each.messages.close()


def _start(context: Any, work: Work, group: Group) -> _Process:
    messages, its_end = context.Pipe(duplex=False)
    rank = group.local_rank or 0
    process = context.Process(target=_run, args=(work, group, its_end), name=f"medimeta-rank-{rank}")
    blocks = hasattr(signal, "pthread_sigmask")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if blocks else None
    try:
        process.start()  # Ctrl-C is for this process alone, from the first moment
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    its_end.close()  # so that its death is the end of the pipe
    return _Process(rank, process, messages)


def _listen(started: list[_Process], told: Told) -> Any:
    failed_at: float | None = None
    while any(each.end is None for each in started):
        if failed_at is not None and time.monotonic() - failed_at > GRACE_SECONDS:
            break
        wait([each.messages for each in started if each.end is None], PAUSE_SECONDS)
        for each in started:
            if each.end is None:
                _take(each, told)
            if failed_at is None and isinstance(each.end, _Failed):
                failed_at = time.monotonic()
    failures = [each.end for each in started if isinstance(each.end, _Failed)]
    if failures:  # one that was foreseen says more than that others missed it
        raise sorted(failures, key=lambda failure: not failure.foreseen)[0].error
    first = started[0].end
    return first.result if isinstance(first, _Done) else None


def _take(process: _Process, told: Told) -> None:
    """Take what a process has sent, without waiting."""
    try:
        while process.end is None and process.messages.poll():
            message = process.messages.recv()
            if isinstance(message, (_Done, _Failed)):
                process.end = message
            elif process.rank == 0:
                told(*message)
    except (EOFError, OSError):
        process.process.join()
        process.end = _Failed(TrainingProcessError(_death(process)), foreseen=True)


def _death(process: _Process) -> str:
    code = process.process.exitcode
    how = f"with exit code {code}"
    if code is not None and code < 0:
        with suppress(ValueError):
            how = f"by {signal.Signals(-code).name}" + (" (out of memory?)" if -code == signal.SIGKILL else "")
    return (
        f"process {process.rank} of the training was ended {how}; the others were stopped. In a script, the call must "
        f"stand under: if __name__ == '__main__':"
    )


def _run(work: Work, group: Group, messages: Connection) -> None:
    """Do the work; the first code of a process."""
    begin_worker()
    torch.set_num_threads(max(1, usable_processors() // group.devices))

    def told(*message: Any) -> None:
        messages.send(message)

    try:
        end: _Done | _Failed = _Done(work(group, told))
    except MedimetaError as error:
        end = _Failed(error, foreseen=True)
    except Exception as error:  # noqa: BLE001 - told where the training was begun
        trace = traceback.format_exc()
        message = f"process {group.local_rank} of the training failed: {type(error).__name__}: {error}\n{trace}"
        end = _Failed(TrainingProcessError(message), foreseen=False)
    messages.send(end)
    if isinstance(end, _Done) and distributed.is_initialized():
        with suppress(RuntimeError):  # the others may end while they leave it
            distributed.barrier()  # before, some may still read what this process has sent
    threading.Event().wait()  # to be ended, with the others, by whoever has started them
