"""Where chunks are rendered: in this process, in worker processes, or on a Dask cluster, behind one interface."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from medimeta._children import begin_worker, has_forkserver, start_forkserver, start_method
from medimeta._dask import connected
from medimeta._interrupts import deliver_held, held_back, let_through
from medimeta._optional import require
from medimeta.errors import MedimetaError, UsageError

Job = TypeVar("Job")
Result = TypeVar("Result")

PRELOADED = ("medimeta.building.render", "medimeta.recipes.pixels", "PIL.JpegImagePlugin", "PIL.PngImagePlugin")
CONNECT_SECONDS = 20
PAUSE_SECONDS = 0.2  # without a result, until it is looked whether Ctrl-C came
LOST_SECONDS = 30  # without a result, until a cluster is asked for its workers: lost ones may be started again
LARGE_JOB = 1024**3  # bytes


@dataclass(frozen=True)
class Workers:
    """Workers that can be given jobs.

    Attributes
    ----------
    executor : Executor
        Takes the jobs.
    count : int
        How many jobs run at the same time.
    share_memory : bool
        Whether they are other processes of this machine.
    check : callable
        Called where no result has come for long; raises MedimetaError where none can come.
    """

    executor: Executor
    count: int
    share_memory: bool
    check: Callable[[], None] = lambda: None

    @property
    def under_way(self) -> int:
        """How many jobs are handed out at most: enough that no worker waits, few enough that memory stays flat."""
        return 2 * self.count + 2


class _HereExecutor(Executor):
    """Runs each call at once in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            with let_through():
                result = fn(*args, **kwargs)
            future.set_result(result)
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result, as every executor does
            future.set_exception(error)
        return future


class _Processes(ProcessPoolExecutor):
    """Worker processes, none of which is lost to Ctrl-C in the moment of its start.

    ``submit`` starts workers. Broken off between start and bookkeeping, it leaves one that nobody ends, and for which
    this process waits without end when it is done.
    """

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with held_back():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def open_workers(count: int, dask: str | None = None) -> Iterator[Workers]:
    """Open so many worker processes, or a Dask cluster; with one worker, work is done in this process.

    Parameters
    ----------
    count : int
        Worker processes.
    dask : str, optional
        Address of a Dask scheduler, such as ``tcp://node1:8786``; `count` then does not matter.

    Raises
    ------
    UsageError
        Called from a script that runs again because a worker process is starting; or there is no such scheduler, or it
        has no workers.
    """
    if dask is not None:
        with _dask_workers(dask) as workers:
            yield workers
        return
    if count == 1:
        yield Workers(_HereExecutor(), 1, share_memory=False)
        return
    if multiprocessing.parent_process() is not None:
        raise UsageError(
            "worker processes start by running the calling script again, and it asked for workers once more. "
            "Put the call of build() under: if __name__ == '__main__':"
        )
    prepare_workers(count)
    context = multiprocessing.get_context(start_method())
    with _Processes(count, mp_context=context, initializer=begin_worker) as executor:
        executor.submit(_nothing)  # so that workers start while tables are read
        try:
            yield Workers(executor, count, share_memory=True)
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


def prepare_workers(count: int, dask: str | None = None) -> None:
    """Start what `open_workers` waits for, so that it imports its libraries while originals are looked for."""
    if count > 1 and dask is None and has_forkserver() and multiprocessing.parent_process() is None:
        start_forkserver(PRELOADED)


def _nothing() -> None:
    """Do nothing."""


@contextmanager
def _dask_workers(address: str) -> Iterator[Workers]:
    with connected(address, CONNECT_SECONDS) as client:

        def check() -> None:
            try:
                lost = "workers" if not client.nthreads() else ""
            except OSError:
                lost = "scheduler"
            if lost:
                raise _lost(lost)

        # Images from streams go with their jobs, which Dask would advise against each time.
        with require("dask").config.set({"distributed.admin.large-graph-warning-threshold": f"{LARGE_JOB} B"}):
            threads = sum(client.nthreads().values())
            yield Workers(client.get_executor(pure=False), threads, share_memory=False, check=check)


def _lost(what: str) -> MedimetaError:
    return MedimetaError(
        f"the Dask cluster has lost its {what}, so nothing was published. What is finished is kept: start the {what} "
        f"again and build again to go on."
    )


def run_jobs(workers: Workers, work: Callable[[Job], Result], jobs: Iterator[Job]) -> Iterator[Result]:
    """Run jobs with a limited number handed out, so that memory stays flat; yield results as they end.

    A job is taken from `jobs` only after some result has been dealt with. Where Ctrl-C is held back, it is let through
    while jobs are taken, and asked for between results.

    Raises
    ------
    MedimetaError
        A worker process died, or the workers or the scheduler of a cluster are lost.
    """
    pending: set[Future[Result]] = set()
    submit = workers.executor.submit

    def taken() -> list[Job]:
        with let_through():
            return list(islice(jobs, 1))

    try:
        for _ in range(workers.under_way):  # one by one: work begins while the next is read
            pending |= {submit(work, job) for job in taken()}
        last = time.monotonic()
        while pending:
            # Short, as no interrupt may end this call: it holds locks that the threads which bring results need.
            done, pending = wait(pending, PAUSE_SECONDS, FIRST_COMPLETED)
            deliver_held()
            if done:
                last = time.monotonic()
            elif time.monotonic() - last > LOST_SECONDS:
                workers.check()
                last = time.monotonic()
            for future in done:
                yield future.result()
                pending |= {submit(work, job) for job in taken()}
    except BrokenProcessPool as error:
        raise MedimetaError(
            "a worker process ended unexpectedly (killed, or out of memory), so nothing was published. What is "
            "finished is kept: build again to go on, with fewer workers if memory is short. In a script, the call of "
            "build() must stand under: if __name__ == '__main__':"
        ) from error
    except CancelledError as error:  # nobody else cancels what is waited for
        raise _lost("scheduler") from error
    except Exception as error:
        if type(error).__name__ != "KilledWorker":  # Dask's, which is not imported where it is not used
            raise
        raise MedimetaError(
            f"workers of the Dask cluster died over the same work ({error}), so nothing was published. What is "
            f"finished is kept: build again to go on."
        ) from error
    finally:
        if not workers.share_memory:  # a pool of processes cancels by itself, and may hang where others did it
            for future in pending:
                future.cancel()
