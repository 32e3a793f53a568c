"""A file at an HTTP server: what is asked for, and whether what is answered is that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from medimeta.hub.answer import Answer, OtherAnswerError, PassingError, host_of, shown
from medimeta.hub.client import Client, Reply
from medimeta.hub.failures import of_status
from medimeta.hub.telling import Teller

CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)", re.ASCII)  # RFC 9110, section 14.4


class Web:
    """A file at an address that begins with ``http:`` or ``https:``."""

    def __init__(self, client: Client, url: str, teller: Teller) -> None:
        self.url = url
        self._client, self._teller = client, teller
        self._ranges = True  # until the server shows that it cannot

    @contextmanager
    def open(self, start: int) -> Iterator[Answer]:
        """Ask for the bytes from `start` on; see `medimeta.hub.answer.Place`."""
        asked = start if self._ranges else 0
        with self._client.open(self.url, asked) as reply:
            yield self._read(reply, asked)

    def _read(self, reply: Reply, asked: int) -> Answer:
        if reply.status == HTTPStatus.OK:  # the whole file, which a server may always send
            if asked:
                self._without_ranges("sends it from the start instead of going on")
            return _Body(reply, 0, _number(reply.headers.get("Content-Length")))
        said = CONTENT_RANGE.fullmatch(reply.headers.get("Content-Range", "").strip())
        total = _number(said[3]) if said else None
        if reply.status == HTTPStatus.PARTIAL_CONTENT:
            if said and said[1] and int(said[1]) == asked:
                return _Body(reply, asked, total)
            self._without_ranges("sends another part than the one that was asked for")
            raise PassingError(self.url, "the server sends another part than the one that was asked for")
        if reply.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and asked:
            if total is not None and total <= asked:
                raise OtherAnswerError(f"{shown(self.url)}: the file there has {total:,} bytes, fewer than came.")
            self._without_ranges("refuses to go on where it broke off")
            raise PassingError(self.url, "the server refuses to go on where it broke off")
        raise of_status(reply.status, reply.headers, self.url)

    def _without_ranges(self, why: str) -> None:
        if self._ranges:
            self._ranges = False
            self._teller.note(f"{host_of(self.url)} {why}; what is here already is skipped.")


class _Body:
    """The body of a reply, as bytes of a file."""

    def __init__(self, reply: Reply, start: int, total: int | None) -> None:
        self.start, self.total = start, total
        self.version = reply.headers.get("ETag") or reply.headers.get("Last-Modified", "")
        said = (reply.headers.get(name) for name in ("Content-Type", "Content-Encoding"))
        self.kind = ", ".join(each for each in said if each)
        self.read = reply.read


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
