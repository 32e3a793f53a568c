"""Built from real originals, datasets equal release 1.0 in pixels, labels, splits, columns and original paths."""

import csv
import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import medimeta as mm

TREES = {"bus": "Dataset_BUSI_with_GT", "pbc": "PBC_dataset_normal_DIB"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest(folder: Path) -> dict:
    """Digest a dataset in the form of the golden files, with h5py and csv alone: none of our readers."""
    with h5py.File(folder / "images.hdf5") as file:
        pixels = file["images"][:]
    with (folder / "annotations.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames
    labels = {path.stem: np.load(path) for path in sorted((folder / "task_labels").glob("*.npy"))}

    def splits(name: str) -> dict:
        texts = {path.stem: path.read_text() for path in sorted((folder / name).glob("*.txt"))}
        return {split: [len(text.split("\n")), sha256(text.strip().encode())] for split, text in texts.items()}

    return {
        "shape": list(pixels.shape),
        "pixels_sha256": sha256(pixels.tobytes()),
        "labels": {name: [list(array.shape), sha256(array.tobytes())] for name, array in labels.items()},
        "splits": splits("splits"),
        "original_splits": splits("original_splits"),
        "columns": columns,
        "original_filepath_sha256": sha256("\n".join(row["original_filepath"] for row in rows).encode()),
    }


def as_tree_itself(tree: Path, _: Path) -> Path:
    return tree


def as_zip(tree: Path, place: Path) -> Path:
    path = place / "download.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(tree.rglob("*"), reverse=True):  # the order in an archive must not matter
            archive.write(file, file.relative_to(tree.parent))
    return path


def as_zip_one_level_higher(tree: Path, place: Path) -> Path:
    path = place / "again.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(tree.rglob("*")):
            archive.write(file, Path("my copy") / file.relative_to(tree.parent))
    return path


def as_zip_one_level_lower(tree: Path, place: Path) -> Path:
    path = place / "flat.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(tree.rglob("*")):
            archive.write(file, file.relative_to(tree))
    return path


def files_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): sha256(path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("dataset", TREES)
def test_real_originals_build_to_the_golden_digests(real_originals, real_built, dataset):
    golden = json.loads((real_originals / "golden" / f"{dataset}.json").read_text())
    assert digest(real_built(dataset)) == golden


@pytest.mark.parametrize("dataset", TREES)
@pytest.mark.parametrize(
    ("form", "workers"),
    [(as_tree_itself, 8), (as_zip, 2), (as_zip_one_level_higher, 1), (as_zip_one_level_lower, 1)],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_real_originals_are_the_same_in_every_form_and_with_any_number_of_workers(
    real_originals, real_built, tmp_path, dataset, form, workers
):
    source = form(real_originals / dataset / TREES[dataset], tmp_path)
    mm.build(dataset, source=source, root=tmp_path / "root", workers=workers, allow_partial=True)
    assert files_of(tmp_path / "root" / dataset) == files_of(real_built(dataset))


def test_bytes_depend_neither_on_the_number_of_workers_nor_on_the_form_of_the_original(originals, tmp_path):
    extracted = tmp_path / "extracted"
    for archive in originals.glob("*.zip"):
        shutil.unpack_archive(archive, extracted)
    mm.build(["bus", "pbc"], source=originals, root=tmp_path / "one", workers=1, allow_partial=True)
    mm.build(["bus", "pbc"], source=originals, root=tmp_path / "three", workers=3, allow_partial=True)
    mm.build(["bus", "pbc"], source=extracted, root=tmp_path / "folder", workers=2, allow_partial=True)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "three") == files_of(tmp_path / "folder")
    assert "bus/manifest.json" in files_of(tmp_path / "one")


@pytest.fixture
def cxr_forms(real_originals, tmp_path):
    """The 16 real chest X-rays, with their rows of the real tables: as a folder, and nested in tarballs in a zip."""
    real = real_originals / "cxr"
    images = sorted((real / "images").glob("*.png"))
    names = {path.name for path in images}
    folder = tmp_path / "folder" / "CXR8"
    (folder / "images").mkdir(parents=True)
    for path in images:
        shutil.copyfile(path, folder / "images" / path.name)
    for table in ("Data_Entry_2017_v2020.csv", "BBox_List_2017.csv", "train_val_list.txt", "test_list.txt"):
        head, *lines = (real / table).read_text(encoding="utf-8-sig").splitlines(keepends=True)
        kept = [line for line in lines if line.split(",")[0].strip() in names]
        first = [head] if table.endswith(".csv") or head.strip() in names else []
        (folder / table).write_text("".join(first + kept), encoding="utf-8")
    nested = tmp_path / "zip" / "CXR8.zip"
    nested.parent.mkdir()
    with zipfile.ZipFile(nested, "w", zipfile.ZIP_DEFLATED) as archive:
        for table in sorted(folder.glob("*.*")):
            archive.write(table, f"CXR8/{table.name}")
        for number, part in enumerate((images[9:], images[:9]), 1):  # not in the order of the table
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz") as tar:
                for path in part:
                    tar.add(path, f"images/{path.name}")
            archive.writestr(f"CXR8/images/images_{number:03d}.tar.gz", packed.getvalue())
    return folder.parent, nested


def test_real_chest_xrays_are_the_same_from_nested_tarballs_and_from_a_folder(cxr_forms, tmp_path):
    built = []
    for number, source in enumerate(cxr_forms):
        for workers in (1, 2):
            root = tmp_path / f"root{number}{workers}"
            [report] = mm.build("cxr", source, root, workers=workers, allow_partial=True)
            assert report.samples == 16
            files = sorted(path for path in (root / "cxr").rglob("*") if path.is_file())
            built.append({path.relative_to(root): path.read_bytes() for path in files})
    assert built[0] == built[1] == built[2] == built[3]
