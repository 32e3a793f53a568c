"""Archives in the released layout, made from synthetic datasets, and the record that lists them.

The layout is release 1.0's: images in HDF5 and as TIFF, no manifest. The counts are those of the synthetic originals,
far below those that the catalogue tells, so that a download of them tells departures.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import medimeta as mm
from medimeta.synthetic.originals import write_originals

SIZE = 32
IMAGES_PER_CLASS = 5
RECORD = 7884735
INFO_KEYS = (  # of release 1.0
    "id",
    "name",
    "description",
    "domain",
    "input_size",
    "total_num_samples",
    "splits_num_samples",
    "original_splits_num_samples",
    "tasks",
    "domain_overlaps",
    "subject_overlaps",
    "license",
)
DATE = (2024, 1, 2, 3, 4, 6)

Pack = Callable[[Path, Path, str], Path]


@dataclass(frozen=True)
class ReleasedArchives:
    """A folder of archives, and what was packed into them. Copy what you change.

    Attributes
    ----------
    folder : Path
        The archives: ``bus.zip`` and ``dr_regular.tar.gz`` with the dataset's folder at their top, ``pbc.zip`` without.
    root : Path
        The datasets as they were packed, ``<root>/<id>``.
    built : Path
        The same as this package built them, with manifests: what a group of its own would serve.
    """

    folder: Path
    root: Path
    built: Path

    def record(self, base_url: str) -> dict[str, Any]:
        """Return the record as the API of the archive's host gives it, with links below `base_url`."""
        base = base_url.rstrip("/")
        api = f"{base}/api/records/{RECORD}"
        files = [entry(path, f"{api}/files/{path.name}/content") for path in sorted(self.folder.iterdir())]
        return {
            "id": RECORD,
            "conceptrecid": str(RECORD - 1),
            "doi": f"10.5281/zenodo.{RECORD}",
            "conceptdoi": f"10.5281/zenodo.{RECORD - 1}",
            "title": "MedIMeta",
            "metadata": {"title": "MedIMeta", "version": "1.0", "publication_date": "2024-04-01"},
            "files": files,
            "links": {"self": api, "self_html": f"{base}/records/{RECORD}", "files": f"{api}/files"},
            "status": "published",
        }


def entry(path: Path, url: str) -> dict[str, Any]:
    """Return what a record says of one file."""
    with path.open("rb") as file:
        md5 = hashlib.file_digest(file, "md5").hexdigest()
    return {
        "id": hashlib.sha1(path.name.encode()).hexdigest(),
        "key": path.name,
        "size": path.stat().st_size,
        "checksum": f"md5:{md5}",
        "links": {"self": url},
    }


def make_releases(folder: Path) -> ReleasedArchives:
    """Build three datasets and pack them, below `folder`."""
    names = ["bus", "pbc", "dr_regular"]
    made = ReleasedArchives(folder / "archives", folder / "released", folder / "built")
    originals = folder / "originals"
    write_originals(names, originals, images_per_class=IMAGES_PER_CLASS)
    mm.build(names, source=originals, root=made.built, size=SIZE, workers=1, tiff=True, allow_partial=True)
    shutil.rmtree(originals)
    for name in names:
        as_released(shutil.copytree(made.built / name, made.root / name))
    made.folder.mkdir()
    pack_zip(made.root / "bus", made.folder / "bus.zip")
    pack_zip(made.root / "pbc", made.folder / "pbc.zip", top="")
    pack_tar(made.root / "dr_regular", made.folder / "dr_regular.tar.gz")
    return made


def as_released(folder: Path) -> Path:
    """Take away what release 1.0 does not have."""
    (folder / "manifest.json").unlink()
    info = yaml.safe_load((folder / "info.yaml").read_text(encoding="utf-8"))
    text = yaml.safe_dump({key: info[key] for key in INFO_KEYS}, sort_keys=False, allow_unicode=True)
    (folder / "info.yaml").write_text(text, encoding="utf-8")
    return folder


def members(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def pack_zip(folder: Path, path: Path, top: str | None = None, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    """Pack a dataset below a folder `top` of the archive; its own name without one, none where it is empty."""
    with zipfile.ZipFile(path, "w") as file:
        for member in members(folder):
            info = zipfile.ZipInfo(_name(folder, member, top), DATE)
            info.external_attr = 0o644 << 16
            file.writestr(info, member.read_bytes(), compression)
    return path


def pack_tar(folder: Path, path: Path, top: str | None = None) -> Path:
    """Pack a dataset as a tarball, compressed as the suffix of its name says: gz, bz2, xz or tar."""
    suffix = path.suffix.removeprefix(".")
    packing: Any = "w" if suffix == "tar" else f"w:{suffix}"
    with tarfile.open(path, packing) as file:
        for member in members(folder):
            info = tarfile.TarInfo(_name(folder, member, top))
            data = member.read_bytes()
            info.size, info.mtime = len(data), 1704164646
            file.addfile(info, io.BytesIO(data))
    return path


def _name(folder: Path, member: Path, top: str | None) -> str:
    start = folder.name if top is None else top
    return "/".join(part for part in (start, member.relative_to(folder).as_posix()) if part)
