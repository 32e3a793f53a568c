"""One published file, brought to its place: gone on with after every break, and checked before it is there.

What has come lies beside the place, under a name of its own (`medimeta.hub.partial`), from the moment it came: a run
that is ended, however that happens, loses nothing of it, and the next goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medimeta.errors import ChecksumError, MedimetaError, NotPublishedError, UsageError, problems_error
from medimeta.hub.answer import Answer, OtherAnswerError, PassingError, Place, RefusedError, shown
from medimeta.hub.local import Local
from medimeta.hub.partial import Partial, holds
from medimeta.hub.remote import RemoteFile
from medimeta.hub.telling import Teller
from medimeta.store.disk import room

if TYPE_CHECKING:  # a folder is read without the libraries of HTTP
    from medimeta.hub.client import Client


ELSEWHERE = "Check the address, or take another --mirror."


def fetch(client: Client | None, file: RemoteFile, path: Path, teller: Teller) -> str:
    """Bring a file to its place, whole and checked.

    A file that is there already, with the right size and checksum, is taken. Else what an earlier run left is gone on
    with. A file whose size or checksum is wrong is thrown away, and fetched once more.

    Parameters
    ----------
    client : Client or None
        Talks HTTP; files of folders need none.
    file : RemoteFile
        What to bring. Where it has no checksum, only its size is checked.
    path : pathlib.Path
        Where to; its folder is there.
    teller : Teller
        Hears of progress, and of each break and wait.

    Returns
    -------
    str
        The address that served it; the first one, where it was there already.

    Raises
    ------
    NotPublishedError
        It is at none of its addresses.
    UnreachableError
        It cannot be fetched; what came is kept.
    ChecksumError
        What came is not what was published, twice.
    StoreError
        The disk is full, or cannot be written; what came is kept.
    Stopped
        It was asked to stop; what came is kept.

    Examples
    --------
    >>> import hashlib, tempfile
    >>> from medimeta.hub.remote import Checksum
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     shelf = Path(folder, "shelf")
    ...     _ = shelf.write_bytes(b"images")
    ...     checksum = Checksum("md5", hashlib.md5(b"images").hexdigest())
    ...     file = RemoteFile("bus.zip", 6, checksum, (shelf.as_uri(),))
    ...     url = fetch(None, file, Path(folder, "bus.zip"), Teller("bus"))
    ...     Path(folder, "bus.zip").read_bytes()
    b'images'
    """
    if holds(path, file, teller):
        return file.urls[0]
    with Partial(path, file, teller) as partial:
        try:
            url = _bring_checked(client, file, partial, teller)
        except ChecksumError as error:
            again = "asked for once more" if partial.length else "fetched once more, from the start"
            teller.note(f"{error} It is {again}.")
            try:
                url = _bring_checked(client, file, partial, teller)
            except ChecksumError as last:
                kept = f"{room(partial.length)} that came before" if partial.length else "nothing of it"
                verb = "are" if partial.length else "is"
                raise ChecksumError(
                    f"{last} It was fetched twice, and {kept} {verb} kept. Open the address in a browser to see what "
                    f"it is; tell those who publish it, or take another --mirror."
                ) from last
        partial.finish()
    return url


def _bring_checked(client: Client | None, file: RemoteFile, partial: Partial, teller: Teller) -> str:
    try:
        url = _bring(client, file, partial, teller)
        if partial.checksum == file.checksum:
            return url
        raise ChecksumError(
            f"{shown(url)}: is damaged, or not what was published: expected {file.checksum}, got {partial.checksum}."
        )
    except OtherAnswerError:
        raise
    except ChecksumError:
        partial.empty()  # which part of it is wrong, nobody knows
        raise


def _bring(client: Client | None, file: RemoteFile, partial: Partial, teller: Teller) -> str:
    """Bring it from the first of its addresses that has it."""
    refusals: list[MedimetaError] = []
    for url in file.urls:
        if file.size and partial.length == file.size:  # an earlier run was ended before the last step
            return url
        try:
            _bring_from(url, client, file, partial, teller)
        # Some servers refuse, or have a page for, what they do not have.
        except (NotPublishedError, RefusedError, OtherAnswerError) as error:
            refusals.append(error)
        else:
            return url
    if len(refusals) == 1 and not isinstance(refusals[0], NotPublishedError):
        raise refusals[0]
    kinds = (OtherAnswerError, RefusedError, NotPublishedError)
    kind = next(kind for kind in kinds if any(isinstance(each, kind) for each in refusals))
    raise problems_error(kind, f"{file.key}: is at none of its addresses.", list(map(str, refusals)), ELSEWHERE)


def _bring_from(url: str, client: Client | None, file: RemoteFile, partial: Partial, teller: Teller) -> None:
    if url.startswith("file:"):
        _take(Local(url), file, partial, teller)
        return
    if client is None:
        raise UsageError(f"{shown(url)}: is no file: address, so a client is needed to fetch it.")
    from medimeta.hub.retrying import Job
    from medimeta.hub.web import Web

    place = Web(client, url, teller)
    job = Job(url, lambda: _take(place, file, partial, teller), lambda: partial.length, file.size)
    client.patience.persist(job, teller)


def _take(place: Place, file: RemoteFile, partial: Partial, teller: Teller) -> None:
    """Take what one answer brings."""
    with place.open(partial.length) as answer:
        if answer.total is not None and answer.total != file.size:
            kind = f" ({answer.kind})" if answer.kind.isprintable() and answer.kind else ""
            raise OtherAnswerError(
                f"{shown(place.url)}: has another size than was published: expected {file.size:,} bytes, "
                f"got {answer.total:,}{kind}."
            )
        _keep_to_one_version(place, answer, file, partial)
        known = partial.length - answer.start  # bytes that come again, as the server does not skip them
        teller.step("fetching", partial.length, file.size)
        while partial.length < file.size and (block := answer.read()):  # the end of the answer may never come
            fresh = block[known:]
            known = max(0, known - len(block))
            if partial.length + len(fresh) > file.size:
                raise ChecksumError(
                    f"{shown(place.url)}: is longer than was published: expected {file.size:,} bytes, got more."
                )
            partial.write(fresh)
            teller.step("fetching", partial.length, file.size)
    if partial.length < file.size:
        raise PassingError(place.url, "the connection was cut")


def _keep_to_one_version(place: Place, answer: Answer, file: RemoteFile, partial: Partial) -> None:
    """Never put two contents together where no checksum would tell."""
    if file.checksum is None and partial.length and answer.version != partial.version:
        begins = answer.start == 0
        partial.empty()
        if not begins:
            raise PassingError(place.url, "the file was changed meanwhile, so it is fetched from the start")
    partial.version = answer.version
