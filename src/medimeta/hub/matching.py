"""Which file of a listing holds a dataset: told by its name, whatever kind of archive it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from medimeta.errors import NotPublishedError, bullet_list
from medimeta.hub.remote import RemoteFile
from medimeta.store.disk import room

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")  # preferred ones first
OTHER_SUFFIXES = (".7z", ".rar", ".tar.zst", ".tzst", ".zst", ".gz", ".bz2", ".xz")  # archives that are not unpacked
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,200}")  # so that no name leads anywhere
_MORE = re.compile(r"medimeta|dataset|data|release|v|v?[0-9]+")  # what a name may have beside the id


def match_file(dataset: str, files: Sequence[RemoteFile], where: str) -> RemoteFile:
    """Return the archive of a dataset.

    ``bus.zip``, ``BUS.tar.gz`` and ``medimeta-bus_v1.0.zip`` are all that of ``bus``. A plain name is preferred to a
    longer one, and a zip, which says what is in it, to a tarball.

    Parameters
    ----------
    dataset : str
        Id of the dataset.
    files : sequence of RemoteFile
        What there is.
    where : str
        Where that is, for messages.

    Raises
    ------
    NotPublishedError
        There is no such archive, or it is of a kind that cannot be unpacked here; says what is there.

    Examples
    --------
    >>> files = [RemoteFile(name, 1, None, ()) for name in ("oct.tar.gz", "bus.zip", "LICENSE")]
    >>> match_file("oct", files, "the record").key
    'oct.tar.gz'
    """
    found = sorted((rank, file.key) for file in files if (rank := _rank(dataset, file.key)) is not None)
    if not found:
        there = [f"{file.key} ({room(file.size)})" for file in files] or ["nothing"]
        raise NotPublishedError(f"{where}: has no archive of {dataset}. There is:\n{bullet_list(there)}")
    (_, kind), key = found[0]
    if kind >= len(SUFFIXES):
        raise NotPublishedError(
            f"{where}: has {dataset} as {key}, an archive that cannot be unpacked here ({', '.join(SUFFIXES)} can). "
            f"Fetch and extract it yourself, pack the folder {dataset} as {dataset}.zip, and pass --from-dir."
        )
    return next(file for file in files if file.key == key)


def _rank(dataset: str, key: str) -> tuple[int, int] | None:
    """Return how well a name fits, the best being the least; None where it does not."""
    if not _NAME.fullmatch(key):
        return None
    name = key.casefold()
    suffixes = (*SUFFIXES, *OTHER_SUFFIXES)
    fitting = [suffix for suffix in suffixes if name.endswith(suffix)]
    if not fitting:
        return None
    suffix = max(fitting, key=len)  # of .tar.gz and .gz, the former
    words = re.split(r"[^a-z0-9]+", name.removesuffix(suffix))
    wanted = dataset.split("_")
    if words == wanted:
        return 0, suffixes.index(suffix)
    for start in range(len(words) - len(wanted) + 1):
        if words[start : start + len(wanted)] == wanted:
            others = words[:start] + words[start + len(wanted) :]
            if all(_MORE.fullmatch(word) for word in others):
                return 1, suffixes.index(suffix)
    return None
