"""MB a second of a file that is read, hashed and written, and no more. Arguments: requests|socket MB SECONDS"""

from __future__ import annotations

import hashlib
import socket
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

import requests

from benchmarks.pace import tell
from benchmarks.serving import served

BLOCK = 1 << 20


def main(how: str, size: str, seconds: str) -> None:
    """Measure and tell."""
    length = int(size) * 1_000_000
    data = bytes(range(256)) * (length // 256)
    expected = hashlib.md5(data).hexdigest()
    bring = {"requests": by_requests, "socket": by_socket}[how]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "archive"), Path(folder, "archive.zip")
        source.write_bytes(data)
        with served(source) as url:
            bring(url, target)  # warms up
            count, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < float(seconds):
                if bring(url, target) != expected:
                    raise SystemExit("what came is not what was sent")
                target.unlink()
                count += 1
    tell(count * len(data) / elapsed / 1e6)


def by_requests(url: str, target: Path) -> str:
    """Fetch as most programs do."""
    digest = hashlib.md5()
    with requests.get(url, stream=True, timeout=30) as answer, target.open("wb") as file:
        for block in answer.iter_content(BLOCK):
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def by_socket(url: str, target: Path) -> str:
    """Receive into one buffer."""
    digest = hashlib.md5()
    parts = urlsplit(url)
    buffer = memoryview(bytearray(BLOCK))
    with socket.create_connection((parts.hostname, parts.port)) as connection, target.open("wb", buffering=0) as file:
        connection.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:  # byte by byte, so that nothing of the body is taken with it
            head += connection.recv(1)
        left = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while left:
            got = connection.recv_into(buffer)
            digest.update(buffer[:got])
            file.write(buffer[:got])
            left -= got
    return digest.hexdigest()


if __name__ == "__main__":
    main(*sys.argv[1:])
