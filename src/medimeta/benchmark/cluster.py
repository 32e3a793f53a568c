"""Cells on a Dask cluster: one at a time on each worker, with as many threads as it has."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from medimeta._dask import connected
from medimeta.benchmark.job import Failure, Job, attempt
from medimeta.benchmark.methods import Step
from medimeta.benchmark.workers import Watcher
from medimeta.errors import MedimetaError

CONNECT_SECONDS = 20
PAUSE_SECONDS = 0.5
LOST_SECONDS = 30  # without any worker: lost ones may be started again
_ALONE = threading.Lock()  # a worker's threads share the state of chance, so its cells do not run side by side


@contextmanager
def cluster(address: str) -> Iterator[Cluster]:
    """Connect with a cluster by the address of its scheduler, such as ``tcp://node1:8786``.

    Raises
    ------
    UsageError
        There is no such scheduler, or it has no workers.
    """
    with connected(address, CONNECT_SECONDS) as client:
        yield Cluster(client)


class Cluster:
    """Runs jobs on the workers of a cluster; workers may come and go meanwhile.

    Parameters
    ----------
    client : distributed.Client
        The way to the cluster.
    """

    def __init__(self, client: Any) -> None:
        self.client = client

    def run(self, jobs: Sequence[Job], watcher: Watcher) -> Iterator[tuple[int, Any]]:
        """Run jobs; see `Workers`.

        Raises
        ------
        MedimetaError
            The cluster has lost its scheduler, or all its workers.
        """
        waiting = deque(enumerate(jobs))
        running: dict[str, tuple[int, Future[Any]]] = {}
        topic, steps = f"medimeta-{uuid4().hex}", SimpleQueue[Any]()
        self.client.subscribe_topic(topic, lambda event: steps.put(event[1]))
        last_seen = time.monotonic()
        try:
            while waiting or running:
                workers = self._workers()
                if workers:
                    last_seen = time.monotonic()
                elif time.monotonic() - last_seen > LOST_SECONDS:
                    raise _lost("workers")
                for address, (place, future) in list(running.items()):
                    if future.done() or address not in workers:
                        del running[address]
                        yield place, _result(future)
                for address in [each for each in workers if each not in running and waiting]:
                    if waiting:
                        place, job = waiting.popleft()
                        running[address] = place, self._submitted(address, job, topic, place)
                        watcher.started(place)
                wait([future for _, future in running.values()], PAUSE_SECONDS, FIRST_COMPLETED)
                _tell(steps, watcher)
        finally:
            self.client.unsubscribe_topic(topic)
            for _, future in running.values():
                future.cancel()

    def _workers(self) -> list[str]:
        try:
            return sorted(self.client.nthreads())
        except OSError as error:
            raise _lost("scheduler") from error

    def _submitted(self, address: str, job: Job, topic: str, place: int) -> Future[Any]:
        executor = self.client.get_executor(pure=False, workers=[address])
        future: Future[Any] = executor.submit(_on_worker, job, topic, place)
        return future


def _result(future: Future[Any]) -> Any:
    if not future.done():
        future.cancel()
        return Failure("its Dask worker has died.", "WorkerDied", crash=True)
    try:
        return future.result()
    except CancelledError as error:  # nobody else cancels what is waited for
        raise _lost("scheduler") from error
    except Exception as error:  # noqa: BLE001 - of Dask, or of what the worker lacks: recorded, and the other cells go on
        return Failure(f"{type(error).__name__}: {error}", type(error).__name__, crash=True)


def _tell(steps: SimpleQueue[Any], watcher: Watcher) -> None:
    try:
        while True:
            place, *step = steps.get_nowait()
            watcher.stepped(place, Step(*step))
    except Empty:
        return


def _on_worker(job: Job, topic: str, place: int) -> Any:
    """Do one job on a worker of the cluster."""
    import torch
    from distributed import get_worker

    worker = get_worker()
    with _ALONE:
        torch.set_num_threads(worker.state.nthreads)
        return attempt(job, lambda step: worker.log_event(topic, (place, *step)))


def _lost(what: str) -> MedimetaError:
    return MedimetaError(
        f"the Dask cluster has lost its {what}. Finished cells are kept: start the {what} again and give the same "
        f"command to go on."
    )
