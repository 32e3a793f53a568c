"""An unpacked folder: whether it is the dataset of the card, what is recorded of it, and how much room it may take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from medimeta._version import __version__
from medimeta.catalogue.schema import DatasetCard
from medimeta.errors import DamagedStoreError, MedimetaError, ReleaseMismatchError, problems_error
from medimeta.hub import agreement
from medimeta.store import layout
from medimeta.store.disk import stored_bytes
from medimeta.store.info import DatasetInfo
from medimeta.store.manifest import DownloadOrigin, FileDigest, Manifest, read_manifest, write_manifest
from medimeta.store.reader import StoredDataset
from medimeta.store.verify import verify_folder

LARGEST_SIZE = 512  # pixels that images from a group's own mirror may well have
OTHER_BYTES = 10**9  # for whatever else lies beside the images of a dataset
_WAY_OUT = "Check that this is the archive of that dataset in release 1.0's format, or fetch it from another place."


def check_contents(folder: Path, card: DatasetCard) -> tuple[str, ...]:
    """Check an unpacked dataset by itself, and against its card.

    Parameters
    ----------
    folder : Path
        Where ``info.yaml`` lies.
    card : DatasetCard
        What the catalogue says.

    Returns
    -------
    tuple of str
        In what it departs from the card, and may: numbers of samples, names of labels, size of images, domain.

    Raises
    ------
    ReleaseMismatchError
        It is another dataset, or is not whole; all problems are listed.

    Examples
    --------
    >>> import medimeta as mm
    >>> check_contents(getfixture("bus_root") / "bus", mm.dataset("bus"))[0]
    'holds 30 samples, the catalogue says 780'
    """
    problems = list(verify_folder(folder).problems)
    try:
        stored = StoredDataset(folder)
    except MedimetaError:  # told already
        pass
    else:
        problems += agreement.mismatches(stored.info, card)
        problems += agreement.count_problems(stored)
        problems += agreement.tiff_problems(stored)
    if problems:
        raise problems_error(ReleaseMismatchError, f"{folder}: is not a whole {card.id}:", problems, _WAY_OUT)
    return tuple(agreement.departures(stored, card))


def write_download_manifest(
    folder: Path,
    card: DatasetCard,
    files: Mapping[str, FileDigest],
    origin: DownloadOrigin,
    departures: tuple[str, ...],
) -> Manifest:
    """Write the manifest of a dataset that was unpacked and checked.

    An archive that this package built brings one. Then every file must be the one that it names, and what it says of
    the build is kept.

    Parameters
    ----------
    folder : Path
        The dataset's folder.
    card : DatasetCard
        Its card.
    files : mapping of str to FileDigest
        What was unpacked, by name relative to `folder`.
    origin : DownloadOrigin
        Whence it came.
    departures : tuple of str
        In what it departs from the card; see `check_contents`.

    Raises
    ------
    ReleaseMismatchError
        The archive's own manifest does not read, or is of other files.
    StoreError
        The manifest cannot be written.
    """
    contents = {name: file for name, file in sorted(files.items()) if name != layout.MANIFEST}
    stored = StoredDataset(folder)
    try:
        brought = read_manifest(folder)
    except DamagedStoreError as error:
        raise ReleaseMismatchError(str(error)) from error
    if brought is None:
        manifest = Manifest(
            dataset=card.id,
            package=f"medimeta {__version__}",
            settings={"size": stored.info.size},
            partial=bool(departures),
            departures=departures,
            samples=len(stored),
            sources=(),
            files=contents,
            download=origin,
        )
    else:
        if problems := list(_problems(brought, stored.info, contents)):
            raise problems_error(
                ReleaseMismatchError,
                f"{folder / layout.MANIFEST}: does not fit the files beside it:",
                problems,
                f"{origin.archive} was not packed from one build. Tell those who serve it, or fetch it elsewhere.",
            )
        manifest = brought.model_copy(update={"files": contents, "download": origin})
    write_manifest(folder, manifest)
    return manifest


def expected_bytes(card: DatasetCard) -> int:
    """Return how many bytes the release's dataset takes: its images at 224 pixels, as HDF5 and TIFF, and its rows.

    Examples
    --------
    >>> import medimeta as mm
    >>> expected_bytes(mm.dataset("bus"))
    82268160
    """
    return stored_bytes(card.samples.total, card.channels, agreement.RELEASE_SIZE, tiff=True)


def most_bytes(card: DatasetCard) -> int:
    """Return how many bytes an archive of the dataset may unpack to; one that takes more is a bomb.

    Twice what the release's samples take with images of 512 pixels and a mask each, and a gigabyte.

    Examples
    --------
    >>> import medimeta as mm
    >>> most_bytes(mm.dataset("bus")) // 10**6
    2241
    """
    samples = card.samples.total
    return 2 * stored_bytes(samples, card.channels, LARGEST_SIZE, tiff=True, masks=samples) + OTHER_BYTES


def _problems(manifest: Manifest, info: DatasetInfo, files: Mapping[str, FileDigest]) -> Iterator[str]:
    if manifest.dataset != info.id:
        yield f"it is that of {manifest.dataset!r}, expected {info.id!r}"
    if (size := manifest.settings.get("size", info.size)) != info.size:
        yield f"it says images of {size} pixels, there are images of {info.size}"
    for name, expected in sorted(manifest.files.items()):
        if name not in files:
            yield f"{name}: is missing"
        elif files[name] != expected:
            yield f"{name}: is another file (its SHA-256 is {files[name].sha256}, expected {expected.sha256})"
