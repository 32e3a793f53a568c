"""A server on loopback that is as fast as the system lets it be, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.environment import REPOSITORY

BLOCK = 1 << 16


@contextmanager
def served(file: Path, rate: float = 0.0) -> Iterator[str]:
    """Serve a file, at `rate` bytes a second for each connection where it is not 0; give its address."""
    command = [sys.executable, "-m", "benchmarks.serving", str(file), str(rate)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/{file.name}"
        finally:
            process.terminate()


def main(path: str, rate: str) -> None:
    """Serve until the process is ended; the port is the one line that is printed."""
    file, slowly = Path(path), float(rate)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(file.stat().st_size))
            self.end_headers()
            with file.open("rb") as opened:
                if not slowly:
                    self.connection.sendfile(opened)
                    return
                started, sent = time.perf_counter(), 0
                while block := opened.read(BLOCK):
                    time.sleep(max(0.0, sent / slowly - (time.perf_counter() - started)))
                    self.wfile.write(block)
                    sent += len(block)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
