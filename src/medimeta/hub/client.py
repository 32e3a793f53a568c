"""HTTP: one client for listings and files, with time-outs, few redirects, and what the environment says of proxies.

Proxies come from ``HTTPS_PROXY``, ``HTTP_PROXY`` and ``NO_PROXY``, authorities from ``REQUESTS_CA_BUNDLE``,
``CURL_CA_BUNDLE``, ``SSL_CERT_FILE`` or ``SSL_CERT_DIR``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import numpy as np
import requests
import urllib3

from medimeta._version import __version__
from medimeta.errors import ListingError, UnreachableError
from medimeta.hub.answer import BLOCK, PassingError, shown
from medimeta.hub.failures import of_error, of_status
from medimeta.hub.retrying import Job, Patience
from medimeta.hub.telling import Teller
from medimeta.store.disk import room

REDIRECTS = 10
HEADERS = {
    "User-Agent": f"medimeta/{__version__}",
    # Archives gain nothing from it, and ranges and sizes are then those of the file.
    "Accept-Encoding": "identity",
}


class _Session(requests.Session):
    """Leaves redirects to the client: the library reads the body of each, however long, and goes from https to http."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class Client:
    """Talks HTTP, from any number of threads; a context manager.

    Parameters
    ----------
    timeout : float
        Seconds in which a server must answer, and send a first or another byte.
    connect_timeout : float
        Seconds in which a connection must be made.
    tries : int
        Attempts in a row that may bring nothing new; see `medimeta.hub.retrying`.
    wait : float
        Seconds, about, between the first two of them; later waits double.
    longest_wait : float
        Seconds that a server may ask to wait.
    slowest : tuple of int and float
        A connection that brings fewer than so many bytes in so many seconds counts as broken.
    seed : int, numpy.random.Generator or None
        Decides the jitter of waits.
    """

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        connect_timeout: float = 10.0,
        tries: int = 6,
        wait: float = 1.0,
        longest_wait: float = 600.0,
        slowest: tuple[int, float] = (1000, 60.0),
        seed: int | np.random.Generator | None = None,
    ) -> None:
        self.patience = Patience(tries, wait, longest_wait, np.random.default_rng(seed))
        self._timeouts = (connect_timeout, timeout)
        self._slowest = slowest
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[_Session] = []
        self._replies: set[Reply] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; other threads that wait for bytes find theirs broken off, at once."""
        with self._lock:
            replies, sessions = list(self._replies), list(self._sessions)
        for reply in replies:
            reply.break_off()
        for session in sessions:
            session.close()

    def read(self, url: str, limit: int, teller: Teller) -> bytes:
        """Read what is at an address.

        Parameters
        ----------
        url : str
            Address, ``http`` or ``https``.
        limit : int
            Bytes that it may have at most.
        teller : Teller
            Hears of attempts that failed.

        Raises
        ------
        NotPublishedError
            There is nothing.
        UnreachableError
            It cannot be read.
        ListingError
            It is longer than `limit`.
        Stopped
            It was asked to stop.
        """
        content = bytearray()

        def attempt() -> None:
            content.clear()
            with self.open(url) as reply:
                if reply.status != HTTPStatus.OK:
                    raise of_status(reply.status, reply.headers, url)
                while block := reply.read():
                    teller.check()
                    content.extend(block)
                    if len(content) > limit:
                        raise ListingError(f"{shown(url)}: is longer than {room(limit)}, so it is no listing.")

        self.patience.persist(Job(url, attempt), teller)
        return bytes(content)

    @contextmanager
    def open(self, url: str, start: int = 0) -> Iterator[Reply]:
        """Ask once for an address, from the byte `start` on, and follow redirects; status and ranges are the caller's.

        Raises
        ------
        UnreachableError
            There was no answer; `PassingError` where another attempt may bring one.
        """
        headers = {"Range": f"bytes={start}-"} if start else {}
        reply = Reply(self._follow(url, headers), url, self._slowest)
        with self._lock:
            self._replies.add(reply)
        try:
            yield reply
        finally:
            with self._lock:
                self._replies.discard(reply)
            reply.close()

    def _follow(self, url: str, headers: dict[str, str]) -> requests.Response:
        place = url
        for _ in range(REDIRECTS + 1):
            response = self._ask(place, headers, url)
            if not response.is_redirect:
                return response
            response.close()
            before, place = place, self._target(response, url)
            if before.startswith("https:") and not place.startswith("https:"):
                raise UnreachableError(
                    f"{shown(url)}: leads from https to {shown(place)}, where others could change what comes. "
                    f"It is not followed."
                )
        raise UnreachableError(
            f"{shown(url)}: leads on and on, at last to {shown(place)}; {REDIRECTS} redirects are followed. "
            f"Check the address."
        )

    def _target(self, response: requests.Response, url: str) -> str:
        target = response.headers["Location"]
        try:
            return urljoin(response.url, target.encode("latin-1").decode())  # headers are read as Latin-1
        except ValueError as error:
            raise UnreachableError(f"{shown(url)}: leads to {target!r}, which is no address.") from error

    def _ask(self, place: str, headers: dict[str, str], url: str) -> requests.Response:
        try:
            return self._session.get(place, headers=headers, stream=True, allow_redirects=False, timeout=self._timeouts)
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:  # those of requests are OSErrors
            raise of_error(error, url) from error

    @property
    def _session(self) -> _Session:
        """The session of this thread: none is promised to serve several."""
        session: _Session | None = getattr(self._local, "session", None)
        if session is None:
            session = _Session()
            session.headers.update(HEADERS)
            # Comes after the variables that requests knows by itself.
            session.verify = os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR") or True
            self._local.session = session
            with self._lock:
                self._sessions.append(session)
        return session


class Reply:
    """What a server answers: status, headers, and a body that is read as it comes."""

    def __init__(self, response: requests.Response, url: str, slowest: tuple[int, float]) -> None:
        self._response = response
        self._raw: urllib3.HTTPResponse = response.raw
        self._url = url
        self._least, self._seconds = slowest
        self._since, self._came = time.monotonic(), 0

    @property
    def status(self) -> int:
        """The status."""
        return self._response.status_code

    @property
    def headers(self) -> requests.structures.CaseInsensitiveDict[str]:
        """The headers."""
        return self._response.headers

    def read(self) -> bytes:
        """Return what has come, at most `BLOCK` bytes, as it was sent; nothing at the end.

        Raises
        ------
        PassingError
            The connection broke, or is far too slow.
        """
        try:
            block = self._raw.read1(BLOCK, decode_content=False)
        except (OSError, urllib3.exceptions.HTTPError) as error:
            raise of_error(error, self._url) from error
        self._came += len(block)
        now = time.monotonic()
        if now - self._since >= self._seconds:
            if self._came < self._least and block:
                raise PassingError(self._url, f"only {self._came} bytes came in {now - self._since:.0f} s")
            self._since, self._came = now, 0
        return block

    def break_off(self) -> None:
        """End the reading, from another thread."""
        with suppress(OSError, ValueError, RuntimeError):  # it has ended by itself
            self._raw.shutdown()

    def close(self) -> None:
        """Give the connection back, or close it where not all was read."""
        self._response.close()
