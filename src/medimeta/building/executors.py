"""Where chunks are rendered: in this process, or in worker processes, behind one interface."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

from medimeta.errors import MedimetaError, UsageError

Job = TypeVar("Job")
Result = TypeVar("Result")


class _HereExecutor(Executor):
    """Runs each call at once in this process."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - handed to whoever asks for the result, as every executor does
            future.set_exception(error)
        return future


def make_executor(workers: int) -> Executor:
    """Return an executor of so many worker processes; with one worker, work is done in this process.

    Raises
    ------
    UsageError
        Called from a script that runs again because a worker process is starting.
    """
    if workers == 1:
        return _HereExecutor()
    if multiprocessing.parent_process() is not None:
        raise UsageError(
            "worker processes start by running the calling script again, and it asked for workers once more. "
            "Put the call of build() under: if __name__ == '__main__':"
        )
    # Not fork: the caller may have threads (torch, a progress bar), and a forked child could inherit a held lock.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    return ProcessPoolExecutor(workers, mp_context=context)


def run_jobs(
    executor: Executor, work: Callable[[Job], Result], jobs: Iterator[Job], *, under_way: int
) -> Iterator[Result]:
    """Run jobs with at most `under_way` of them handed out, so that memory stays flat; yield results as they end.

    Raises
    ------
    MedimetaError
        A worker process died.
    """
    pending: set[Future[Result]] = set()
    try:
        pending = {executor.submit(work, job) for job in islice(jobs, under_way)}
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending |= {executor.submit(work, job) for job in islice(jobs, len(done))}
            for future in done:
                yield future.result()
    except BrokenProcessPool as error:
        raise MedimetaError(
            "a worker process ended unexpectedly (killed, or out of memory), so nothing was published. "
            "Build again, with fewer workers if memory is short. In a script, the call of build() must stand under: "
            "if __name__ == '__main__':"
        ) from error
    finally:
        for future in pending:
            future.cancel()
