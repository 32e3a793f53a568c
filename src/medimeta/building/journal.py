"""The journal of a build: what is finished, one line a chunk, so that a killed build goes on where it was.

The first line names the plan; a journal of another plan, recipe or version counts for nothing. Every finished sample
has the checksums of its pixels and files: it counts only if they are on the disk, so that neither a line without its
pixels nor pixels without their line can spoil a dataset. A line cut off by the kill is dropped, as is one that does not
read, with all behind it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medimeta._zlib import crc32
from medimeta.errors import StoreError

FORMAT = 1


@dataclass(frozen=True)
class Entry:
    """A finished sample, as far as it is not in its files.

    Attributes
    ----------
    index : int
        Its index.
    checksum : int
        CRC-32 of its pixels.
    files : dict of str to int
        Name and CRC-32 of its further files.
    masks : int
        How many of these are masks.
    enlarged, converted_from, annotations, warnings
        See `medimeta.recipes.recipe.Rendered`.
    """

    index: int
    checksum: int
    files: dict[str, int] = field(default_factory=dict)
    masks: int = 0
    enlarged: bool = False
    converted_from: str | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Finished:
    """What a journal says: finished samples by index, and the digests of all members read for them."""

    entries: dict[int, Entry] = field(default_factory=dict)
    members: dict[str, str] = field(default_factory=dict)


class Journal:
    """The journal of one dataset.

    Parameters
    ----------
    path : Path
        The file; made if missing.
    plan : str
        Digest of all that decides about the bytes of the dataset.

    Attributes
    ----------
    finished : Finished
        What the file held when it was opened; nothing where it is of another plan.
    """

    def __init__(self, path: Path, plan: str) -> None:
        self.path = path
        self._head = {"format": FORMAT, "plan": plan}
        text = path.read_bytes() if path.exists() else b""
        lines = [line for line in text.splitlines(keepends=True) if line.endswith(b"\n")]
        self.finished, keep = _finished(lines, self._head)
        try:
            self._file = path.open("r+b" if path.exists() else "xb", buffering=0)
        except OSError as error:
            raise self._unwritable(error) from error
        if keep:
            self._cut(keep)
        else:
            self.restart()

    def restart(self) -> None:
        """Forget all that is finished."""
        self.finished = Finished()
        self._cut(0)
        self._line(self._head)

    def add(self, entries: Iterable[Entry], members: dict[str, str]) -> None:
        """Note that samples are finished: their pixels and files are written already."""
        self._line({"samples": [_short(entry) for entry in entries], "members": members})

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _line(self, values: dict[str, Any]) -> None:
        rest = memoryview((json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n").encode())
        try:
            while rest:  # a disk that is almost full takes a part
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise self._unwritable(error) from error

    def _cut(self, length: int) -> None:
        try:
            self._file.truncate(length)
            self._file.seek(length)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(f"{self.path}: cannot be written ({error.strerror}).")


def has_finished(path: Path) -> bool:
    """Whether the journal at `path` tells of anything that is finished, of whatever plan."""
    try:
        with path.open("rb") as file:
            return file.readline().endswith(b"\n") and file.readline().endswith(b"\n")
    except OSError:
        return False


def checked(finished: Finished, pixels: Callable[[int], bytes], folder: Path) -> Finished:
    """Return what is finished in truth: the samples whose pixels and files are on the disk as they were written."""
    return Finished(
        {
            index: entry
            for index, entry in finished.entries.items()
            if crc32(pixels(index)) == entry.checksum
            and all(_has(folder / name, checksum) for name, checksum in entry.files.items())
        },
        finished.members,
    )


def _has(path: Path, checksum: int) -> bool:
    try:
        return crc32(path.read_bytes()) == checksum
    except OSError:
        return False


def _short(entry: Entry) -> dict[str, Any]:
    return {name: value for name, value in vars(entry).items() if value or name in ("index", "checksum")}


def _finished(lines: list[bytes], head: dict[str, Any]) -> tuple[Finished, int]:
    """Return what the lines tell, and the length of those that do; nothing where they are of another plan."""
    finished = Finished()
    if not lines or _decoded(lines[0]) != head:
        return finished, 0
    keep = len(lines[0])
    for line in lines[1:]:
        values = _decoded(line)
        try:
            entries = [
                Entry(**sample | {"warnings": tuple(sample.get("warnings", ()))}) for sample in values["samples"]
            ]
            finished.members.update(values["members"])
        except (TypeError, KeyError, AttributeError, ValueError):
            break  # what follows a damaged line was not written by us in order
        finished.entries.update((entry.index, entry) for entry in entries)
        keep += len(line)
    return finished, keep


def _decoded(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
