"""One view of a folder, a zip and several of them: sorted member names, and the bytes of each.

Names are relative, with forward slashes. What packers and file managers leave behind (``__MACOSX/``, ``._*``,
``Thumbs.db``, ...) is not shown. An archive pickles as its path and opens its handle lazily in each process.
"""

from __future__ import annotations

import hashlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

from medimeta._members import junk
from medimeta.errors import DamagedSourceError, MedimetaError

MAX_MEMBER_BYTES = 2 * 1024**3  # the largest member of any original is a CT volume of about 1 GB
PIECE = 8 * 1024**2  # bytes read at a time where a member is streamed

BROKEN = (BadZipFile, NotImplementedError, ValueError, IndexError)  # all seen of zipfile, on flipped bytes


class Archive(ABC):
    """A tree of members below a prefix.

    Attributes
    ----------
    path : Path
        The folder, or the archive file.
    prefix : str
        Folder inside it that is the top of the tree: empty, or ending in ``/``.
    """

    def __init__(self, path: Path, prefix: str = "") -> None:
        self.path = Path(path)
        self.prefix = prefix

    @cached_property
    def members(self) -> tuple[str, ...]:
        """Names of all files below the prefix, sorted as plain strings."""
        start = len(self.prefix)
        return tuple(sorted(name[start:] for name in self._names() if name.startswith(self.prefix) and not junk(name)))

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.members)

    def __contains__(self, member: object) -> bool:
        return member in self._known

    def folders(self, folder: str = "") -> tuple[str, ...]:
        """Return the names of the folders directly in `folder`, without it, sorted as plain strings."""
        start = f"{folder}/" if folder else ""
        inner = (name[len(start) :] for name in self.members if name.startswith(start))
        return tuple(sorted({name.split("/", 1)[0] for name in inner if "/" in name}))

    def files(self, folder: str = "") -> tuple[str, ...]:
        """Return the names of the files directly in `folder`, without it, sorted as plain strings."""
        start = f"{folder}/" if folder else ""
        inner = (name[len(start) :] for name in self.members if name.startswith(start))
        return tuple(name for name in inner if "/" not in name)

    def by_tail(self, parts: int) -> dict[str, str]:
        """Index the members by the last `parts` parts of their names, case folded; the shallowest wins, then the first.

        A table may name a file by less than its whole path, in another case, or below other folders.
        """
        found: dict[str, str] = {}
        for name in sorted(self.members, key=lambda name: (name.count("/"), name)):
            found.setdefault("/".join(name.split("/")[-parts:]).casefold(), name)
        return found

    def within(self, prefix: str) -> Archive:
        """Return the view of the same archive below a folder of it; `prefix` is empty or ends in ``/``."""
        inner, arguments = self.__reduce__()
        return inner(*(*arguments[:-1], self.prefix + prefix))

    def read(self, member: str) -> bytes:
        """Return the bytes of a member.

        Raises
        ------
        SourceNotFoundError
            There is no such member.
        DamagedSourceError
            The member does not read, or is larger than any original's member is.
        """
        name = self.prefix + member
        size = self._size(name)
        if size > MAX_MEMBER_BYTES:
            raise DamagedSourceError(
                f"{self.where(member)}: is {size:,} bytes long, more than the {MAX_MEMBER_BYTES:,} that a member of an "
                f"original may have. Check that this is the original download."
            )
        return self._read(name)

    def size(self, member: str) -> int:
        """Return the length of a member in bytes; raises SourceNotFoundError where there is none."""
        return self._size(self.prefix + member)

    @contextmanager
    def open(self, member: str) -> Iterator[IO[bytes]]:
        """Open a member as a stream, of any length; it need not seek.

        Raises
        ------
        SourceNotFoundError
            There is no such member.
        DamagedSourceError
            The member does not read to where the caller reads it.
        """
        try:
            with self._open(self.prefix + member) as stream:
                yield stream
        except MedimetaError:  # many are ValueErrors too; the caller's own pass through here as well
            raise
        except RuntimeError as error:  # a password, or (NotImplementedError) an unknown compression
            raise DamagedSourceError(f"{self.where(member)}: cannot be read ({error}).") from error
        except (*BROKEN, zlib.error, EOFError) as error:
            raise DamagedSourceError(f"{self.where(member)}: is damaged ({error}). Fetch the archive again.") from error

    def head(self, member: str, count: int) -> bytes:
        """Return the first `count` bytes of a member, or all where it is shorter."""
        with self.open(member) as stream:
            return stream.read(count)

    def digest(self, member: str) -> str:
        """Return the SHA-256 of a member, read piece by piece."""
        sha256 = hashlib.sha256()
        with self.open(member) as stream:
            while piece := stream.read(PIECE):
                sha256.update(piece)
        return sha256.hexdigest()

    def file(self, member: str) -> Path | None:
        """Return the file on disk that is the member, to be mapped into memory; None where it lies in an archive."""
        return None

    def where(self, member: str) -> str:
        """Return a member's place for messages: the archive, then the name in it."""
        inside = self.prefix + member
        return f"{self.path}: {inside}" if inside else str(self.path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, {self.prefix!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Archive) and self.__reduce__() == other.__reduce__()

    def __hash__(self) -> int:
        return hash(self.__reduce__())

    def __reduce__(self) -> tuple[type[Archive], tuple[Any, ...]]:
        return type(self), (self.path, self.prefix)

    @abstractmethod
    def state(self, members: Iterable[str]) -> str:
        """Return a digest that changes when files that hold `members` do: of names, sizes and times, not contents."""

    @abstractmethod
    def _names(self) -> Iterator[str]: ...

    @abstractmethod
    def _size(self, name: str) -> int: ...

    @abstractmethod
    def _read(self, name: str) -> bytes: ...

    @abstractmethod
    def _open(self, name: str) -> AbstractContextManager[IO[bytes]]: ...
