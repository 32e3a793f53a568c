"""Several archives side by side in one tree, for originals that come in more than one download."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from medimeta.errors import SourceNotFoundError
from medimeta.sources.archive import Archive


class MountedArchive(Archive):
    """Archives, each under a folder of its own.

    Parameters
    ----------
    path : Path
        What the user gave as source, for messages.
    mounts : mapping of str to Archive
        Name of the folder to the archive that is seen below it.
    prefix : str
        See `Archive`.
    """

    def __init__(self, path: Path, mounts: Mapping[str, Archive], prefix: str = "") -> None:
        super().__init__(path, prefix)
        self.mounts = dict(mounts)

    def __reduce__(self) -> tuple[type[Archive], tuple[Any, ...]]:
        return type(self), (self.path, tuple(sorted(self.mounts.items())), self.prefix)

    def where(self, member: str) -> str:
        """Return a member's place for messages: that in its own archive."""
        archive, name = self._split(self.prefix + member)
        return str(self.path) if archive is None else archive.where(name)

    def file(self, member: str) -> Path | None:
        """Return the file on disk that is the member, if there is one."""
        archive, name = self._split(self.prefix + member)
        return None if archive is None else archive.file(name)

    def state(self, members: Iterable[str]) -> str:
        """Return a digest of the states of all archives."""
        own: dict[str, list[str]] = {mount: [] for mount in self.mounts}
        for member in members:
            name = self.prefix + member
            self._own(name)  # says what is of no archive
            mount, _, rest = name.partition("/")
            own[mount].append(rest)
        lines = (f"{mount} {self.mounts[mount].state(own[mount])}" for mount in sorted(own))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def _split(self, name: str) -> tuple[Archive | None, str]:
        mount, _, rest = name.partition("/")
        return self.mounts.get(mount), rest

    def _own(self, name: str) -> tuple[Archive, str]:
        archive, rest = self._split(name)
        if archive is None:
            raise SourceNotFoundError(f"{self.path}: has no {name!r}.")
        return archive, archive.prefix + rest

    def _names(self) -> Iterator[str]:
        for mount, archive in self.mounts.items():
            yield from (f"{mount}/{member}" for member in archive.members)

    def _size(self, name: str) -> int:
        archive, inner = self._own(name)
        return archive._size(inner)

    def _read(self, name: str) -> bytes:
        archive, inner = self._own(name)
        return archive._read(inner)

    def _open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        archive, inner = self._own(name)
        return archive._open(inner)
