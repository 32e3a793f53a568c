"""Where cells are run: in this process, in processes side by side, or on a Dask cluster, behind one interface.

Each cell has a process of its own, so that one that dies takes no other with it, gives all its memory back, and its
peak can be told. The process that calls is the only one that writes results.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import torch

from medimeta._children import begin_worker, has_forkserver, start_forkserver, start_method
from medimeta._interrupts import held_back
from medimeta._processors import usable_processors
from medimeta.benchmark.job import Failure, Job, attempt
from medimeta.benchmark.methods import Step
from medimeta.errors import UsageError
from medimeta.learning.device import Devices

PRELOADED = ("medimeta.benchmark.supervised", "timm")
PAUSE_SECONDS = 0.5


class Watcher(Protocol):
    """Who is told how it goes; jobs are known by their place in the list."""

    def started(self, place: int) -> None:
        """Take note that a job begins."""

    def stepped(self, place: int, step: Step) -> None:
        """Take note of a step of a job."""


class Workers(Protocol):
    """Something that runs jobs."""

    def run(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[tuple[int, Any]]:
        """Run jobs, and yield the place and the result of each as it ends; a `Failure` of one that has none."""


class Here:
    """Runs one job after another in this process."""

    def run(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[tuple[int, Any]]:
        """Run jobs; see `Workers`."""
        for place, job in enumerate(jobs):
            watcher.started(place)

            def told(step: Step, place: int = place) -> None:
                watcher.stepped(place, step)

            yield place, attempt(job, told)


@dataclass
class _Child:
    """A process that runs one job."""

    place: int
    slot: int
    process: multiprocessing.process.BaseProcess
    results: Connection


class Processes:
    """Runs jobs side by side, each in a new process.

    Parameters
    ----------
    count : int
        How many at a time. They share the processors evenly, and the GPUs in turn.
    devices : int or "auto"
        How many GPUs each is to have, where there are any.
    """

    def __init__(self, count: int, devices: Devices = "auto") -> None:
        if multiprocessing.parent_process() is not None:
            raise UsageError(
                "worker processes start by running the calling script again, and it asked for workers once more. "
                "Put the call under: if __name__ == '__main__':"
            )
        self.count = count
        self.threads = max(1, usable_processors() // count)
        self.gpus = gpu_shares(count, 1 if devices == "auto" else devices)

    def run(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[tuple[int, Any]]:
        """Run jobs; see `Workers`. However it is left, no process is left behind."""
        # A process that has seen its GPUs cannot hand them on by fork, not even through a fork server.
        context = multiprocessing.get_context("spawn" if torch.cuda.is_available() else start_method())
        if len(jobs) > 0 and not torch.cuda.is_available() and has_forkserver():
            start_forkserver(PRELOADED)
        waiting, free = deque(enumerate(jobs)), list(range(self.count))[::-1]
        children: list[_Child] = []
        try:
            while waiting or children:
                while waiting and free:
                    with held_back():  # Ctrl-C must not come between a start and its note
                        place, job = waiting.popleft()
                        children.append(self._started(context, place, free.pop(), job))
                    watcher.started(place)
                ready = wait([end for each in children for end in (each.results, each.process.sentinel)], PAUSE_SECONDS)
                for child in [each for each in children if each.results in ready or each.process.sentinel in ready]:
                    for message in _messages(child):
                        if isinstance(message, Step):
                            watcher.stepped(child.place, message)
                            continue
                        with held_back():
                            _end(child)
                            children.remove(child)
                            free.append(child.slot)
                        yield child.place, message
                        break
        finally:
            with held_back():
                for child in children:
                    _end(child)

    def _started(self, context: Any, place: int, slot: int, job: Job) -> _Child:
        results, its_end = context.Pipe(duplex=False)
        arguments = (job, its_end, self.threads, self.gpus[slot])
        process = context.Process(target=_work, args=arguments, name=f"medimeta-cell-{place}")
        try:
            process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise UsageError(
                f"a cell cannot be handed to another process ({error}): define its method in a module, or pass jobs=1."
            ) from error
        its_end.close()  # so that its death is the end of the pipe
        return _Child(place, slot, process, results)


def _messages(child: _Child) -> Iterator[Any]:
    """Yield what a child has sent: steps, then its result, or a `Failure` if it has died without one."""
    dead = not child.process.is_alive()  # asked first: what it sent before it died is in the pipe
    try:
        while child.results.poll():
            yield child.results.recv()
    except (EOFError, OSError):
        child.process.join()
        dead = True
    if dead:
        yield _death(child.process.exitcode)


def _death(code: int | None) -> Failure:
    if code is not None and code < 0:
        with suppress(ValueError):
            name = signal.Signals(-code).name
            out_of_memory = " (out of memory?)" if -code == signal.SIGKILL else ""
            return Failure(f"its process was ended by {name}{out_of_memory}.", "WorkerDied", crash=True)
    return Failure(f"its process ended unexpectedly, with exit code {code}.", "WorkerDied", crash=True)


def _end(child: _Child) -> None:
    """End a child, and whatever it has started, at once: what it writes is whole at any moment."""
    if child.process.pid is not None and hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(child.process.pid, signal.SIGKILL)
    child.process.kill()
    child.process.join()
    child.results.close()


def _work(job: Job, results: Connection, threads: int, gpus: str | None) -> None:
    """Do one job; the first code of a child."""
    begin_worker()
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # so that it can be ended with all that it starts
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus
    torch.set_num_threads(threads)
    results.send(attempt(job, results.send))


def gpu_shares(count: int, each: int) -> list[str | None]:
    """Return the GPUs of each of `count` workers, as ``CUDA_VISIBLE_DEVICES`` has it: in turn; None without GPUs."""
    total = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not total:
        return [None] * count
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = named.split(",")[:total] if named else [str(number) for number in range(total)]
    return [",".join(names[(slot * each + more) % total] for more in range(min(each, total))) for slot in range(count)]
