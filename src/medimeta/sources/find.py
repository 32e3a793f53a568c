"""Find the original that a recipe wants below the path that a user gave.

People hand over the archive itself, the folder they extracted it to, the folder that their browser saves into, or any
of these re-zipped one level higher or lower. All are accepted; what is looked for is the tree, not the file's name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medimeta.errors import SourceError, SourceNotFoundError
from medimeta.sources.archive import Archive, FolderArchive, ZipArchive, open_archive

DEPTH = 3  # folders above the tree: the user's own, one for the dataset, and the archive's


@dataclass(frozen=True)
class Original:
    """How to recognise an original download.

    Attributes
    ----------
    name : str
        What the download is called, for messages.
    archives : tuple of str
        File names of the archive as downloaded.
    children : frozenset of str
        Names of folders that lie side by side in the tree that the recipe reads.
    """

    name: str
    archives: tuple[str, ...]
    children: frozenset[str]


def find_original(path: str | os.PathLike[str], original: Original) -> Archive:
    """Return the view of the original's tree that is found at or below `path`.

    Raises
    ------
    SourceNotFoundError
        Nothing below `path` looks like the original.
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
    if not path.is_dir():
        archive = open_archive(path)
        prefix = _prefix_in(archive.members, original.children)
        if prefix is not None:
            return archive.within(prefix)
        raise SourceNotFoundError(f"{path}: does not hold {original.name}. {_wanted(original)}")
    tree = _tree_below(path, original.children)
    if tree is not None:
        return FolderArchive(tree)
    wanted = {name.casefold() for name in original.archives}
    others: list[Path] = []
    for file in _zips_below(path):
        if file.name.casefold() not in wanted:
            others.append(file)
            continue
        archive = open_archive(file)
        prefix = _prefix_in(archive.members, original.children)
        if prefix is not None:
            return archive.within(prefix)
    for file in others:  # renamed downloads: a zip that is not readable is not ours to complain about
        found = _if_readable(file)
        prefix = None if found is None else _prefix_in(found.members, original.children)
        if found is not None and prefix is not None:
            return found.within(prefix)
    raise SourceNotFoundError(f"{path}: {original.name} is not here, nor in the folders below. {_wanted(original)}")


def _wanted(original: Original) -> str:
    archives = " or ".join(original.archives)
    return f"Expected the archive {archives}, or the folders {', '.join(sorted(original.children))} of it side by side."


def _prefix_in(members: tuple[str, ...], children: frozenset[str]) -> str | None:
    """Return the prefix of the shallowest folder that has all `children` as subfolders with files in them."""
    seen: dict[str, set[str]] = {}
    for name in members:
        parts = name.split("/")
        for depth in range(min(len(parts) - 1, DEPTH + 1)):
            folded = parts[depth].casefold()
            if folded in children:
                seen.setdefault("".join(f"{part}/" for part in parts[:depth]), set()).add(folded)
    whole = [prefix for prefix, found in seen.items() if found == children]
    return min(whole, key=lambda prefix: (prefix.count("/"), prefix), default=None)


def _tree_below(top: Path, children: frozenset[str]) -> Path | None:
    level = [top]
    for _ in range(DEPTH + 1):
        for folder in level:
            if children <= {child.name.casefold() for child in _subfolders(folder)}:
                return folder
        level = [child for folder in level for child in _subfolders(folder)]
    return None


def _subfolders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries if _is_folder(entry) and not entry.name.startswith("."))
    except PermissionError:
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _zips_below(top: Path) -> Iterator[Path]:
    for pattern in ("*", "*/*"):
        yield from sorted(file for file in top.glob(pattern) if file.suffix.casefold() == ".zip" and file.is_file())


def _if_readable(file: Path) -> Archive | None:
    try:
        archive = ZipArchive(file)
        archive.members  # noqa: B018 - reads the directory
    except SourceError:
        return None
    return archive
