"""What the members of an archive may be called, and which folder in it is the dataset."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from pathlib import Path

from medimeta._members import MAX_MEMBERS, is_unicode, junk, leads_out
from medimeta.errors import SHOWN, ReleaseMismatchError
from medimeta.store import layout


class OddMemberError(ValueError):
    """A member that no archive of the release holds; the message names it and says why."""


class Names:
    """The names of an archive's members, admitted one by one.

    What is odd is refused, never mended: names that lead out, twice the same file, also where a disk that ignores case
    would see one file, and files where others need a folder.

    Examples
    --------
    >>> names = Names()
    >>> names.admit("bus/images/", folder=True), names.admit("./bus/info.yaml"), names.admit("bus/.DS_Store")
    ('bus/images', 'bus/info.yaml', '')
    >>> names.admit("bus/INFO.yaml")
    Traceback (most recent call last):
    medimeta.hub.members.OddMemberError: the member 'bus/INFO.yaml' is there twice
    """

    def __init__(self) -> None:
        self._count = 0
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def admit(self, raw: str, *, folder: bool = False) -> str:
        """Return the name by which a member is extracted; empty where it is not, as it is junk, or the top itself.

        Raises
        ------
        OddMemberError
            It may not be extracted, or there are too many.
        """
        self._count += 1
        if self._count > MAX_MEMBERS:
            raise OddMemberError(f"there are more than {MAX_MEMBERS:,} members")
        name = _clean(raw)
        if not name:
            if folder:
                return ""
            raise OddMemberError(f"the member {raw!r} has no name")
        if junk(f"{name}/" if folder else name):
            return ""
        key = _folded(name)
        if key in self._files:
            raise OddMemberError(f"the member {raw!r} is there twice")
        if folder:
            self._folders.add(key)
        elif key in self._folders:
            raise OddMemberError(f"the member {raw!r} is both a file and a folder")
        else:
            self._files.add(key)
        parent = key.rpartition("/")[0]
        while parent and parent not in self._folders:
            if parent in self._files:
                raise OddMemberError(f"the member {raw!r} lies in a folder that is also a file")
            self._folders.add(parent)
            parent = parent.rpartition("/")[0]
        return name


def _clean(raw: str) -> str:
    """Return a name with forward slashes, which Windows packs as backslashes, and without parts that say nothing."""
    name = raw.replace("\\", "/")
    if "\0" in name:
        raise OddMemberError(f"the name of the member {raw!r} holds a NUL")
    if leads_out(name):
        raise OddMemberError(f"the member {raw!r} leads out of the archive")
    if not is_unicode(name):
        raise OddMemberError(f"the name of the member {raw!a} is not Unicode")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _folded(name: str) -> str:
    """Return a name as disks compare it that ignore case and how accents are composed."""
    return name.casefold() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def dataset_folder(archive: Path, names: Iterable[str]) -> str:
    """Return the folder of the dataset among the names of all files: that of the shallowest ``info.yaml``.

    Returns
    -------
    str
        Empty where the dataset lies at the archive's top.

    Raises
    ------
    ReleaseMismatchError
        There is none, or there are several.

    Examples
    --------
    >>> dataset_folder(Path("bus.zip"), ["README", "release/bus/info.yaml", "release/bus/images/000000.tiff"])
    'release/bus'
    """
    names = sorted(names)
    found = [name for name in names if name == layout.INFO or name.endswith(f"/{layout.INFO}")]
    depth = min((name.count("/") for name in found), default=0)
    shallowest = [name.rpartition("/")[0] for name in found if name.count("/") == depth]
    if not shallowest:
        raise ReleaseMismatchError(
            f"{archive}: holds no dataset, as there is no {layout.INFO} in it. At its top there is {_tops(names)}. "
            f"Check that this is an archive of a dataset in MedIMeta's format."
        )
    if len(shallowest) > 1:
        raise ReleaseMismatchError(
            f"{archive}: holds {len(shallowest)} datasets: {_listed(shallowest)}. Expected one. "
            f"Pack each as an archive of its own."
        )
    return shallowest[0]


def _tops(names: Iterable[str]) -> str:
    tops = dict.fromkeys(name.split("/")[0] + ("/" if "/" in name else "") for name in names)
    return _listed(list(tops)) if tops else "nothing"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
