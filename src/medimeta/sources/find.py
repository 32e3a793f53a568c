"""Find the original that a recipe wants below the path that a user gave.

People hand over the archive itself, the folder they extracted it to, the folder that their browser saves into, or any
of these re-zipped one level higher or lower. All are accepted; what is looked for is the tree, not the file's name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from medimeta._members import JUNK_FOLDERS
from medimeta.errors import SourceError, SourceNotFoundError, bullet_list
from medimeta.sources.archive import Archive
from medimeta.sources.folder import FolderArchive
from medimeta.sources.mounted import MountedArchive
from medimeta.sources.zipped import ZipArchive

DEPTH = 3  # folders above the tree: the user's own, one for the dataset, and the archive's


@dataclass(frozen=True)
class Part:
    """How to recognise one tree of an original download.

    Attributes
    ----------
    archives : tuple of str
        File names of the archive as downloaded.
    children : frozenset of str
        Names, in lower case, of folders or files that lie side by side at the top of the tree.
    folder : str
        Name that the tree's folder, one above it, or the archive must have; case, blanks and ``_`` do not matter.
        Empty where the children tell enough.
    mount : str
        Folder under which the recipe sees the tree; empty where the original has this part alone.
    feeds : tuple of str
        Ids of the datasets that need the part; empty: all that are made of the original.
    required : bool
        Whether not even a partial build can do without.
    """

    archives: tuple[str, ...]
    children: frozenset[str] = frozenset()
    folder: str = ""
    mount: str = ""
    feeds: tuple[str, ...] = ()
    required: bool = False

    def wanted(self) -> str:
        """Say what was looked for."""
        names = " or ".join(self.archives)
        inside = ", ".join(sorted(self.children)) + (" side by side" if len(self.children) > 1 else "")
        below = f"the folder {self.folder}" if self.folder else ""
        tree = " with ".join(part for part in (below, inside) if part)
        return " or ".join(part for part in (names and f"the archive {names}", tree) if part)


@dataclass(frozen=True)
class Original:
    """An original download: what it is called, for messages, and its parts."""

    name: str
    parts: tuple[Part, ...]

    @property
    def archive(self) -> str:
        """File name of the (first) archive as downloaded."""
        return next((name for part in self.parts for name in part.archives), self.name)


def open_archive(path: str | os.PathLike[str]) -> Archive:
    """Open a folder or a zip file.

    Raises
    ------
    SourceNotFoundError
        There is nothing at `path`.
    DamagedSourceError
        A file that is not a whole zip.
    """
    path = Path(path)
    if path.is_dir():
        return FolderArchive(path)
    if not path.exists():
        raise SourceNotFoundError(f"{path}: there is no such file or folder. Check the path given as source.")
    archive = ZipArchive(path)
    archive.members  # noqa: B018 - reads the directory now, so that a damaged file is told before work starts
    return archive


def find_original(
    path: str | os.PathLike[str],
    original: Original,
    datasets: Collection[str] = (),
    *,
    allow_partial: bool = False,
) -> Archive:
    """Return the view of the original's tree, or trees, found at or below `path`.

    Parameters
    ----------
    path : path
        What the user gave.
    original : Original
        What to look for.
    datasets : collection of str
        Ids of the datasets to be made; parts that feed none of them are not needed. Empty: all.
    allow_partial : bool
        Whether some parts may be missing, as long as one is there.

    Raises
    ------
    SourceNotFoundError
        Nothing below `path` looks like the original, or parts of it are missing; all are named.
    DamagedSourceError
        An archive with the original's name is not whole.
    """
    path = Path(path)
    try:
        exists = path.exists()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}).") from error
    if not exists:
        raise SourceNotFoundError(f"{path}: there is no such file or folder. Check the path given as source.")
    needed = [part for part in original.parts if not datasets or not part.feeds or set(part.feeds) & set(datasets)]
    finder = _Finder(path, lenient=allow_partial)
    found = {part.mount: archive for part in needed if (archive := finder.find(part)) is not None}
    missing = [part for part in needed if part.mount not in found]
    if missing and (not allow_partial or not found or any(part.required for part in missing)):
        here = "not here, nor in the folders below" if path.is_dir() else "not in this archive"
        if len(original.parts) == 1:
            raise SourceNotFoundError(f"{path}: {original.name} is {here}. Expected {missing[0].wanted()}.")
        raise SourceNotFoundError(
            f"{path}: {'parts of ' if found else ''}{original.name} {'are' if found else 'is'} {here}. Expected:\n"
            f"{bullet_list([part.wanted() for part in missing])}"
        )
    if set(found) == {""}:
        return found[""]
    return MountedArchive(path, found)


_Names = tuple[list[str], set[str]]
"""Folders in a folder, and the case-folded names of all that is in it."""


class _Finder:
    """Searches one path for one part after another; what was opened stays open."""

    def __init__(self, path: Path, *, lenient: bool) -> None:
        self.path = path
        self.lenient = lenient
        self._trees: dict[Archive, dict[str, _Names]] = {}

    def find(self, part: Part) -> Archive | None:
        found = self._find(part, len(part.children))
        if found is None and self.lenient and part.folder:  # a whole tree comes before one that lacks something
            found = self._find(part, 1)
        return found

    def _find(self, part: Part, enough: int) -> Archive | None:
        """Return the tree that holds so many of the part's children."""
        if not self.path.is_dir():
            return self._in_zip(open_archive(self.path), part, enough)
        found = _search(part, enough, lambda prefix: _listed(self.path / prefix), self.path.resolve().name)
        if found is not None:
            return FolderArchive(self.path / found)
        wanted = {name.casefold() for name in part.archives}
        files = list(_zips_below(self.path))
        # Renamed downloads come second: a zip that is not readable is not ours to complain about.
        for file in sorted(files, key=lambda file: file.name.casefold() not in wanted):
            archive = open_archive(file) if file.name.casefold() in wanted else _if_readable(file)
            view = None if archive is None else self._in_zip(archive, part, enough)
            if view is not None:
                return view
        return None

    def _in_zip(self, archive: Archive, part: Part, enough: int) -> Archive | None:
        """Search a zip, then the zips that lie in it."""
        view = self._in_one_zip(archive, part, enough, archive.path.stem)
        if view is not None:
            return view
        wanted = {name.casefold() for name in part.archives}
        for member in archive.members:
            name = member.rpartition("/")[2]
            if name.casefold() in wanted and member.count("/") <= DEPTH:
                inner = ZipArchive(archive.path, archive.prefix + member)
                view = self._in_one_zip(inner, part, enough, Path(name).stem)
                if view is not None:
                    return view
        return None

    def _in_one_zip(self, archive: Archive, part: Part, enough: int, stem: str) -> Archive | None:
        if archive not in self._trees:
            self._trees[archive] = _tree(archive.members)
        tree = self._trees[archive]
        found = _search(part, enough, lambda prefix: tree.get(prefix, ([], set())), stem)
        return None if found is None else archive.within(found)


def _search(part: Part, enough: int, listed: Callable[[str], _Names], top: str) -> str | None:
    """Return the prefix of the shallowest folder that is the part, searching level by level."""
    level = [""]
    for _ in range(DEPTH + 1):
        # Of trees side by side, one of the name itself comes before one that only lies below such a folder.
        for prefix in sorted(level, key=lambda prefix: _plain(prefix.split("/")[-2:][0]) != _plain(part.folder)):
            if _matches(part, enough, [top, *prefix.split("/")[:-1]], listed(prefix)[1]):
                return _innermost(part, prefix, listed)
        level = [f"{prefix}{folder}/" for prefix in level for folder in listed(prefix)[0]]
    return None


def _matches(part: Part, enough: int, above: list[str], names: set[str]) -> bool:
    folder = _plain(part.folder)
    if not part.children:  # a folder called like the archive that holds just the archive is none
        return _plain(above[-1]) == folder and bool(names.difference(name.casefold() for name in part.archives))
    if folder and folder not in map(_plain, above):
        return False
    return len(part.children & names) >= enough


def _innermost(part: Part, prefix: str, listed: Callable[[str], _Names]) -> str:
    """Descend from a folder into one of the same name in it: extracting a zip to a folder of its name gives both."""
    while not part.children and (
        inner := next((name for name in listed(prefix)[0] if _plain(name) == _plain(part.folder)), None)
    ):
        prefix = f"{prefix}{inner}/"
    return prefix


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).casefold()


def _tree(members: tuple[str, ...]) -> dict[str, _Names]:
    """Return what is in every folder down to the depth that is searched."""
    tree: dict[str, tuple[set[str], set[str]]] = {}
    for name in members:
        parts = name.split("/")
        for depth in range(min(len(parts), DEPTH + 2)):
            folders, names = tree.setdefault("".join(f"{part}/" for part in parts[:depth]), (set(), set()))
            names.add(parts[depth].casefold())
            if depth < len(parts) - 1:
                folders.add(parts[depth])
    return {prefix: (sorted(folders), names) for prefix, (folders, names) in tree.items()}


def _listed(folder: Path) -> _Names:
    try:
        with os.scandir(folder) as entries:
            found = [(entry.name, _is_folder(entry)) for entry in entries if not _hidden(entry.name)]
    except PermissionError:
        return [], set()
    return sorted(name for name, is_folder in found if is_folder), {name.casefold() for name, _ in found}


def _hidden(name: str) -> bool:
    return name.startswith(".") or name in JUNK_FOLDERS


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _zips_below(top: Path) -> Iterator[Path]:
    for pattern in ("*", "*/*", "*/*/*"):
        yield from sorted(file for file in top.glob(pattern) if file.suffix.casefold() == ".zip" and file.is_file())


def _if_readable(file: Path) -> Archive | None:
    try:
        archive = ZipArchive(file)
        archive.members  # noqa: B018 - reads the directory
    except SourceError:
        return None
    return archive
