"""An archive that remembers what was read through it, for the digest of the source in the manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from medimeta.sources.archive import Archive


class Recording(Archive):
    """Passes everything on, and keeps the SHA-256 of every member that was read whole.

    Parameters
    ----------
    inner : Archive
        The archive that is read.
    streamed : mapping of str to bytes, optional
        Members that came from a stream: they are read from here.
    """

    def __init__(self, inner: Archive, streamed: Mapping[str, bytes] | None = None) -> None:
        super().__init__(inner.path, inner.prefix)
        self._inner = inner
        self._streamed = streamed or {}
        self._digests: dict[str, str] = {}

    def taken(self) -> dict[str, str]:
        """Return name and SHA-256 of what was read since the last call, and forget it."""
        digests, self._digests = self._digests, {}
        return digests

    @property
    def members(self) -> tuple[str, ...]:
        """Names of all files."""
        return self._inner.members

    def __contains__(self, member: object) -> bool:
        return member in self._inner

    def read(self, member: str) -> bytes:
        """Return the bytes of a member, and remember their digest."""
        data = self._streamed[member] if member in self._streamed else self._inner.read(member)
        self._digests[member] = hashlib.sha256(data).hexdigest()
        return data

    def file(self, member: str) -> Path | None:
        """Return the file that is the member; what maps a file reads it, so its digest is remembered."""
        path = self._inner.file(member)
        if path is not None and member not in self._digests:
            self._digests[member] = self._inner.digest(member)
        return path

    def where(self, member: str) -> str:
        """Return a member's place for messages."""
        return self._inner.where(member)

    def within(self, prefix: str) -> Archive:
        """Return the view below a folder; what is read through it is not remembered."""
        return self._inner.within(prefix)

    def state(self, members: Iterable[str]) -> str:
        """Return the state of the files that hold `members`."""
        return self._inner.state(members)

    def __reduce__(self) -> tuple[type[Archive], tuple[Any, ...]]:
        return self._inner.__reduce__()

    def _names(self) -> Iterator[str]:
        return self._inner._names()

    def _size(self, name: str) -> int:
        return self._inner._size(name)

    def _read(self, name: str) -> bytes:
        return self._inner._read(name)

    def _open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return self._inner._open(name)
