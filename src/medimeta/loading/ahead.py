"""Reading ahead: a few threads work on the parts of one job after another, and results come in the order of the jobs.

All threads work on the same job before any of them begins the next, so that few buffers are under way and stay in the
processor's cache. A thread that is done with its part does not wait for the others.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from medimeta.errors import UsageError

T = TypeVar("T")
Part = Callable[[], object]

THREAD_NAME = "medimeta-read-ahead"


class Job(Generic[T]):
    """A result, and the parts of the work that make it whole; parts may run in any order and at the same time."""

    def __init__(self, result: T, parts: Sequence[Part]) -> None:
        self.result = result
        self.parts = parts
        self.left = len(parts)
        self.error: BaseException | None = None

    @classmethod
    def failed(cls, error: BaseException) -> Job[Any]:
        """Return a job that could not even begin."""
        job = Job[Any](None, ())
        job.error = error
        return job


class ReadAhead(Generic[T]):
    """An iterator over the results of jobs.

    What goes wrong in a thread is raised where the result is asked for, after the results before it. Leaving the
    context ends the threads.

    Parameters
    ----------
    jobs : iterator of Job
        Asked for the next job by one thread at a time.
    threads : int
        How many threads work.
    ahead : int
        How many jobs may be under way or wait to be taken.

    Examples
    --------
    >>> def double(numbers):
    ...     for number in numbers:
    ...         box = [number]
    ...         yield Job(box, [lambda box=box: box.append(2 * box[0])])
    >>> with ReadAhead(double(range(3)), threads=2, ahead=2) as results:
    ...     list(results)
    [[0, 0], [1, 2], [2, 4]]
    """

    def __init__(self, jobs: Iterator[Job[T]], threads: int, ahead: int) -> None:
        self._jobs = jobs
        self._ahead = ahead
        self._process = os.getpid()
        lock = threading.Lock()
        self._room = threading.Condition(lock)  # threads wait for work
        self._ready = threading.Condition(lock)  # the consumer waits for a result
        self._window: deque[Job[T]] = deque()  # under way or waiting to be taken, in order
        self._parts: deque[tuple[Job[T], Part]] = deque()  # of these, what no thread has begun
        self._at_end = False
        self._closed = False
        self._failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._run, name=f"{THREAD_NAME}-{number}", daemon=True) for number in range(threads)
        ]

    def __enter__(self) -> Self:
        atexit.register(self.close)  # while threads still end when they are told to
        try:
            for thread in self._threads:
                thread.start()
        except BaseException:  # "can't start new thread": those that run are not left behind
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        if os.getpid() != self._process:
            raise UsageError("an iteration cannot go on in another process than it was begun in: begin a new one.")
        with self._ready:
            while not (self._window and self._window[0].left == 0):
                if self._failure is not None:
                    raise self._failure
                if self._at_end and not self._window:
                    raise StopIteration
                self._ready.wait()
            job = self._window.popleft()
            self._room.notify_all()
        if job.error is not None:
            raise job.error
        return job.result

    def close(self) -> None:
        """End the threads and let go of all results; parts that are being worked on are waited for."""
        if os.getpid() != self._process:
            return  # forked: the threads are not here, and one of them may have held the lock
        atexit.unregister(self.close)
        with self._room:
            self._closed = True
            self._room.notify_all()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._window.clear()
        self._parts.clear()

    def _run(self) -> None:
        try:
            while (begun := self._next_part()) is not None:
                self._work(*begun)
                del begun  # while a thread waits for work it must not hold a buffer
        except BaseException as error:  # noqa: BLE001 - raised again where results are asked for
            with self._ready:
                self._failure = error
                self._ready.notify_all()

    def _work(self, job: Job[T], part: Part) -> None:
        error: BaseException | None = None
        try:
            part()
        except BaseException as caught:  # noqa: BLE001 - raised again where the result is asked for
            error = caught
        with self._ready:
            job.error = job.error or error
            job.left -= 1
            if job.left == 0:
                self._ready.notify()

    def _next_part(self) -> tuple[Job[T], Part] | None:
        with self._room:
            while not self._closed:
                if self._parts:
                    return self._parts.popleft()
                if self._at_end:
                    return None
                if len(self._window) < self._ahead:
                    self._begin_job()
                else:
                    self._room.wait()
            return None

    def _begin_job(self) -> None:
        try:
            job = next(self._jobs)
        except StopIteration:
            self._at_end = True
        except BaseException as error:  # noqa: BLE001 - raised again where the result is asked for
            self._at_end = True
            self._window.append(Job.failed(error))
        else:
            self._window.append(job)
            self._parts.extend((job, part) for part in job.parts)
            job.parts = ()
            if self._parts:
                return
        self._room.notify_all()
        self._ready.notify()
