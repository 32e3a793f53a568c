"""What tests of transfers share: a published file, a client that waits for moments only, and what was told."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hub.server import Server

from medimeta.hub.client import Client
from medimeta.hub.remote import Checksum, RemoteFile
from medimeta.hub.telling import Step, Teller
from medimeta.hub.transfer import fetch

PATH = "/bus.zip"
DATA = hashlib.shake_128(b"bus").digest(300_001)


def checksum(data: bytes) -> Checksum:
    return Checksum("md5", hashlib.md5(data).hexdigest())


def publish(server: Server, data: bytes = DATA, path: str = PATH) -> RemoteFile:
    """Put a file on the server; return what a listing would say of it."""
    server.files[path] = data
    return RemoteFile(path.rpartition("/")[2], len(data), checksum(data), (server.url(path),))


def quick(**options: Any) -> Client:
    """Return a client that waits for moments only."""
    return Client(**{"timeout": 5.0, "connect_timeout": 5.0, "wait": 0.001, "seed": 0, **options})


class Told(Teller):
    """Keeps what is told, and does not wait; `on_step` may do something at a step."""

    def __init__(self, on_step: Callable[[Step], None] = lambda step: None) -> None:
        self.steps: list[Step] = []
        self.waits: list[float] = []
        self.stop = threading.Event()
        self.on_step = on_step
        super().__init__("bus", self._keep, self.stop)

    def _keep(self, step: Step) -> None:
        self.steps.append(step)
        self.on_step(step)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.check()

    @property
    def notes(self) -> list[str]:
        """What happened."""
        return [step.note for step in self.steps if step.note]


def download(url: str, size: int, digest: str, path: Path) -> None:
    """Fetch a file; for processes of their own."""
    with Client() as client:
        fetch(client, RemoteFile(path.name, size, Checksum("md5", digest), (url,)), path, Teller("bus"))
