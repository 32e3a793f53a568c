"""A real HTTP server on loopback that serves bytes by path, with ranges, and does wrong on demand.

    with Server() as server:
        server.files["/bus.zip"] = data
        server.script("/bus.zip", cut(1000), status(503), reset(50))   # the first three requests; then all is well
        ... client reads server.url("/bus.zip") ...
        assert server.sent("/bus.zip") == len(data)
        assert [request.range for request in server.requests] == [None, "bytes=1000-", ...]

A listing in the form of Zenodo's: ``server.record({"bus.zip": data})``. With ``tls=True`` it speaks HTTPS, with the
certificate `CERTIFICATE`. It is a proxy as well: whatever host a request names, it serves the path. What can go wrong
is in `tests.hub.faults`.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import ssl
import struct
import sys
import termios
import threading
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from fcntl import ioctl
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from tests.hub.faults import WELL, Fault

CERTIFICATE = Path(__file__).with_name("localhost.pem")
RECORD = "/api/records/7884735"
BLOCK = 1 << 16


@dataclass
class Request:
    """What was asked for, and what was sent.

    Attributes
    ----------
    target : str
        As the client sent it: a path, or a whole address if it took this server for its proxy.
    path : str
        The path of it.
    headers : mapping
        Of the request; names in lower case.
    status : int
        Of the answer; 0 where there was none.
    sent : int
        Bytes of the body that were handed to the connection.
    """

    target: str
    path: str
    headers: Mapping[str, str]
    status: int = 0
    sent: int = 0

    @property
    def range(self) -> str | None:
        """The range that was asked for."""
        return self.headers.get("range")


class Server:
    """The server; a context manager.

    Attributes
    ----------
    files : dict
        Bytes, or a file on the disk, by path.
    requests : list of Request
        All that came, in their order.
    rate : float or None
        Bytes a second of each connection.
    port : int
        The port of loopback that it listens on.
    """

    def __init__(self, *, tls: bool = False) -> None:
        self.files: dict[str, bytes | Path] = {}
        self.requests: list[Request] = []
        self.rate: float | None = None
        self.errors: list[BaseException] = []
        self.closing = threading.Event()
        self._scripts: dict[str, deque[Fault]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._tls = _tls_context() if tls else None
        self._http = _Listener(self)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.break_off()
        self._http.server_close()  # waits for the threads of all connections
        if self.errors and error is None:
            raise self.errors[0]

    @property
    def port(self) -> int:
        return self._http.server_address[1]

    def url(self, path: str = "") -> str:
        """Return the address of a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{quote(path)}"

    def script(self, path: str, *faults: Fault) -> None:
        """Let the next requests of a path meet these faults, one after another; `WELL` is none."""
        self._scripts[path].extend(faults)

    def always(self, path: str, fault: Fault) -> None:
        """Let all requests of a path meet a fault, those of a script apart."""
        self._always[path] = fault

    def clear(self) -> None:
        """Forget what was requested, and what was still to go wrong."""
        self.requests.clear()
        self._scripts.clear()
        self._always.clear()

    def record(self, files: Mapping[str, bytes | Path], path: str = RECORD) -> dict[str, Any]:
        """Serve files as those of a record, and its listing as Zenodo's API has it; return the listing.

        A test may change it and serve it again by `serve_json`.
        """
        entries = []
        for number, (key, data) in enumerate(files.items()):
            where = f"{path}/files/{key}/content"
            self.files[where] = data
            content = data if isinstance(data, bytes) else data.read_bytes()
            entries.append(
                {
                    "id": f"00000000-0000-4000-8000-{number:012}",
                    "key": key,
                    "size": len(content),
                    "checksum": f"md5:{hashlib.md5(content).hexdigest()}",
                    "links": {"self": self.url(where)},
                }
            )
        number = path.rpartition("/")[2]
        links = {"self": self.url(path), "latest": self.url(f"{path}/versions/latest")}
        listing = {
            "id": int(number),
            "recid": number,
            "conceptrecid": "7884734",
            "doi": f"10.5281/zenodo.{number}",
            "metadata": {"title": "MedIMeta", "version": "1.0", "publication_date": "2023-05-02"},
            "links": links,
            "files": entries,
        }
        self.serve_json(path, listing)
        self.serve_json(f"{path}/versions/latest", {"id": int(number), "metadata": {"version": "1.0"}, "links": links})
        return listing

    def serve_json(self, path: str, value: object) -> None:
        """Serve a value as JSON."""
        self.files[path] = json.dumps(value).encode()

    def of(self, path: str) -> list[Request]:
        """Return the requests of a path."""
        return [request for request in self.requests if request.path == path]

    def sent(self, path: str) -> int:
        """Return how many bytes of bodies were sent for a path, in all requests together."""
        return sum(request.sent for request in self.of(path))

    def fault(self, path: str) -> Fault:
        """Take what the next answer for a path does wrong."""
        script = self._scripts[path]
        return script.popleft() if script else self._always.get(path, WELL)


class _Listener(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, owner: Server) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.owner._tls is None:
            return super().finish_request(request, client_address)
        with self.owner._tls.wrap_socket(request, server_side=True) as secured:
            self._open.add(secured)
            super().finish_request(secured, client_address)
            return None

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def break_off(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):  # it is closed
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):  # the client may go whenever it likes
            self.owner.errors.append(error)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener
    request: Request

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        """As a proxy of HTTPS: play the host that is asked for."""
        self.send_response(HTTPStatus.OK)
        self.end_headers()
        with _tls_context().wrap_socket(self.connection, server_side=True) as secured:
            _Connection(secured, self.client_address, self.server)
        self.close_connection = True

    def do_GET(self) -> None:
        owner = self.server.owner
        path = unquote(urlsplit(self.path).path)
        seen = Request(self.path, path, {name.lower(): value for name, value in self.headers.items()})
        owner.requests.append(seen)
        fault = owner.fault(path)
        if fault.silent:
            self._hold()
        elif fault.status:
            page = fault.body if fault.body is not None else f"<html>{fault.status}</html>".encode()
            self._answer(seen, fault, fault.status, {"Content-Type": "text/html"}, page)
        elif path not in owner.files:
            self._answer(seen, fault, 404, {"Content-Type": "text/html"}, b"<html>not here</html>")
        else:
            self._file(seen, fault, owner.files[path])

    def _file(self, seen: Request, fault: Fault, data: bytes | Path) -> None:
        if fault.body is not None:
            data = fault.body
        whole = data if isinstance(data, bytes) else data.read_bytes()
        headers = {"Content-Type": "application/octet-stream", "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", seen.range or "")
        if not asked or not fault.ranges:
            self._answer(seen, fault, 200, headers, whole)
            return
        first, last = int(asked[1]), min(int(asked[2] or len(whole) - 1), len(whole) - 1)
        if first >= len(whole):
            self._answer(seen, fault, 416, headers | {"Content-Range": f"bytes */{len(whole)}"}, b"")
            return
        headers["Content-Range"] = f"bytes {first}-{last}/{len(whole)}"
        self._answer(seen, fault, 206, headers, whole[first : last + 1])

    def _answer(self, seen: Request, fault: Fault, code: int, headers: Mapping[str, str], body: bytes) -> None:
        length = {"Transfer-Encoding": "chunked"} if fault.chunked else {"Content-Length": str(len(body))}
        seen.status = code
        self.send_response_only(code)
        for name, value in {"Date": self.date_time_string(), **headers, **length, **fault.headers}.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self._send(seen, fault, memoryview(body)[: fault.cut])
        if fault.cut is None or (fault.cut >= len(body) and fault.how == "close" and not fault.chunked):
            if fault.chunked:
                self.wfile.write(b"0\r\n\r\n")
            return
        self.close_connection = True
        if fault.how == "stall":
            self._hold()
        elif fault.how == "reset":
            self._reset()

    def _send(self, seen: Request, fault: Fault, body: memoryview) -> None:
        rate = fault.rate or self.server.owner.rate
        block = BLOCK if rate is None else max(1, min(BLOCK, int(rate / 50)))
        started = time.perf_counter()
        for start in range(0, len(body), block):
            piece = body[start : start + block]
            if rate is not None and self.server.owner.closing.wait(
                max(0.0, start / rate - (time.perf_counter() - started))
            ):
                return
            seen.sent += len(piece)  # before: whoever has read a byte finds it counted
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if fault.chunked else piece)

    def _hold(self) -> None:
        """Send nothing until the client goes, or the server closes."""
        self.close_connection = True
        self.rfile.read(1)

    def _reset(self) -> None:
        # What was sent must arrive first: a reset throws away what is on its way.
        while struct.unpack("i", ioctl(self.connection, termios.TIOCOUTQ, bytes(4)))[0]:
            if self.server.owner.closing.wait(0.001):
                return
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.connection.close()


def _tls_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context
