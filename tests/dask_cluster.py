"""A real Dask cluster of this machine, for tests."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

distributed = pytest.importorskip("distributed")

ROOT = Path(__file__).parent.parent  # workers import what tests hand them
SECONDS = 60  # until a cluster must be there


class Cluster:
    """A scheduler and its workers, each a process, each with a log."""

    def __init__(self, folder, environment):
        self.folder = folder
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self.environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | environment
        self.processes = []
        file = folder / "scheduler.json"
        loopback = ("--host", "127.0.0.1", "--no-dashboard")
        self.scheduler = self.start("scheduler", "--port", "0", "--scheduler-file", str(file), *loopback)
        end = time.monotonic() + SECONDS
        while (address := self.written(file)) is None:
            assert time.monotonic() < end, self.logs()
            assert self.scheduler.poll() is None, self.logs()
            time.sleep(0.02)
        self.address = address

    def start(self, *arguments):
        log = self.folder / f"{len(self.processes)}-{arguments[0]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=self.environment,
            )
        self.processes.append(process)
        return process

    def start_workers(self, count):
        flags = ("--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1", "--memory-limit", "0")
        for _ in range(count):
            self.start("worker", self.address, *flags)
        with distributed.Client(self.address, timeout=SECONDS, set_as_default=False) as client:
            try:
                client.wait_for_workers(count, timeout=SECONDS)
            except TimeoutError:
                pytest.fail(self.logs())

    def written(self, file):
        try:
            return json.loads(file.read_text())["address"]
        except (FileNotFoundError, ValueError):  # not there yet, or not whole
            return None

    def logs(self):
        return "\n".join(f"{log.name}:\n{log.read_text()}" for log in sorted(self.folder.glob("*.log")))

    def kill(self):
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


@contextlib.contextmanager
def opened(folder, workers, environment):
    folder.mkdir()
    cluster = None
    try:
        cluster = Cluster(folder, environment)
        if workers:
            cluster.start_workers(workers)
        yield cluster
    finally:
        if cluster is not None:
            cluster.kill()
