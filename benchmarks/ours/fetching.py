"""MB a second of one file, or seconds for two at a limited rate. Arguments: MB SECONDS [RATE 1|2]"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.pace import tell
from benchmarks.serving import served
from medimeta.hub.client import Client
from medimeta.hub.remote import Checksum, RemoteFile
from medimeta.hub.telling import Teller
from medimeta.hub.transfer import fetch


def main(size: str, seconds: str, rate: str = "0", jobs: str = "") -> None:
    """Measure and tell."""
    length = int(size) * 1_000_000
    data = bytes(range(256)) * (length // 256)
    with tempfile.TemporaryDirectory() as folder, Client() as client:
        source = Path(folder, "archive")
        source.write_bytes(data)
        checksum = Checksum("md5", hashlib.md5(data).hexdigest())
        with served(source, float(rate) * 1e6) as url:

            def bring(name: str) -> None:
                target = Path(folder, name)
                fetch(client, RemoteFile(name, len(data), checksum, (url,)), target, Teller(name))
                target.unlink()

            bring("first")  # warms up
            if jobs:
                started = time.perf_counter()
                with ThreadPoolExecutor(int(jobs)) as pool:
                    list(pool.map(bring, ["one", "two"]))
                tell(time.perf_counter() - started)
                return
            count, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < float(seconds):
                bring("archive.zip")
                count += 1
            tell(count * len(data) / elapsed / 1e6)


if __name__ == "__main__":
    main(*sys.argv[1:])
