"""Who is on which image, where the source tells it."""

import csv

import numpy as np
import pytest
import yaml

import medimeta as mm
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.schema import SPLITS
from medimeta.errors import ChangedStoreError, DamagedStoreError, UnknownNameError
from medimeta.store.annotations import subject_codes
from medimeta.store.reader import StoredDataset, open_dataset

WITH_SUBJECTS = [card.id for card in default_catalogue().datasets() if card.subject_column is not None]
SPLIT_BY_IMAGE = ("glaucoma",)  # as release 1.0 does; its card says so


def rewrite(folder, change):
    """Change the rows of the annotations, given with their head."""
    path = folder / "annotations.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


@pytest.fixture
def cxr(built_root, tmp_path):
    import shutil

    return shutil.copytree(built_root / "cxr", tmp_path / "own" / "cxr")


@pytest.mark.parametrize("dataset", [card.id for card in default_catalogue().datasets()])
def test_subjects_are_known_where_the_card_says_so(built_root, dataset):
    stored = open_dataset(dataset, built_root)
    column, subjects = mm.dataset(dataset).subject_column, stored.subjects()
    assert stored.info.subject_column == column
    if column is None:
        assert subjects is None
        return
    cells = [row[column] for row in stored.annotations()]
    assert subjects.shape == (len(stored),)
    assert subjects.dtype == np.int64
    assert any(cells)
    for index, cell in enumerate(cells):
        same = [other for other, name in enumerate(cells) if name == cell] if cell else [index]
        assert np.flatnonzero(subjects == subjects[index]).tolist() == same


def test_the_datasets_with_subjects_are_those_whose_sources_tell_them():
    without = {card.id for card in default_catalogue().datasets()} - set(WITH_SUBJECTS)
    assert without == {"aml", "bus", "crc", "fundus", "pbc"}


@pytest.mark.parametrize("dataset", [name for name in WITH_SUBJECTS if name not in SPLIT_BY_IMAGE])
def test_splits_share_no_subject(built_root, dataset):
    stored = open_dataset(dataset, built_root)
    subjects = [set(stored.subjects()[stored.split(split)].tolist()) for split in SPLITS]
    assert all(subjects)
    assert sum(map(len, subjects)) == len(set.union(*subjects))


def test_empty_cells_are_subjects_of_their_own():
    assert subject_codes(["7", "", "nan", " 7 ", "NaN", "8"]).tolist() == [0, 1, 2, 0, 3, 4]


def test_folders_that_do_not_say_it_are_asked_for_the_column_of_the_catalogue(cxr):
    before = StoredDataset(cxr).subjects()
    raw = yaml.safe_load((cxr / "info.yaml").read_text(encoding="utf-8"))
    assert raw.pop("subject_column") == "patient_id"
    (cxr / "info.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    assert np.array_equal(StoredDataset(cxr).subjects(), before)
    rewrite(cxr, lambda rows: rows[0].__setitem__(rows[0].index("patient_id"), "Patient"))
    assert StoredDataset(cxr).subjects() is None
    (cxr / "annotations.csv").unlink()
    assert StoredDataset(cxr).subjects() is None


def test_a_column_that_the_folder_names_and_has_not_is_told(cxr):
    rewrite(cxr, lambda rows: rows[0].__setitem__(rows[0].index("patient_id"), "Patient"))
    with pytest.raises(DamagedStoreError, match="annotations.csv: has no column 'patient_id', which info.yaml names"):
        StoredDataset(cxr).subjects()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.pop(), r"has \d+ rows for \d+ samples"),
        (lambda rows: rows.insert(3, rows.pop(4)), "expected the row of images/000002.tiff, got that of images/000003"),
        (lambda rows: rows[5].__delitem__(slice(2, None)), "the row of sample 4 has 2 cells of"),
    ],
)
def test_annotations_that_are_not_those_of_the_samples_are_told(cxr, change, message):
    rewrite(cxr, change)
    with pytest.raises(DamagedStoreError, match=message):
        StoredDataset(cxr).subjects()


def test_a_column_that_is_no_name_is_told(cxr):
    with (cxr / "info.yaml").open("a") as file:
        file.write("subject_column: [patient_id]\n")
    with pytest.raises(DamagedStoreError, match=r"subject_column must name a column .*, got \['patient_id'\]"):
        StoredDataset(cxr)


def test_subjects_are_those_of_the_images_that_were_opened(cxr):
    stored = StoredDataset(cxr)
    (cxr / "images.hdf5").unlink()
    with pytest.raises(ChangedStoreError):
        stored.subjects()


@pytest.fixture
def own(tmp_path):
    """People's own data, built: a table with a column of patients, which is called like one of ours."""
    from PIL import Image

    source = tmp_path / "source"
    source.mkdir()
    lines = ["file,dx,split"]
    for number in range(24):
        noise = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(noise).save(source / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},P{number // 3}")
    (source / "labels.csv").write_text("\n".join(lines) + "\n")
    card = "id: own_scans\nrecipe: table\ntable: labels.csv\nimage: file\ntasks: {dx: dx}\ngroup: split\n"
    (tmp_path / "own.yaml").write_text(card)
    mm.build(str(tmp_path / "own.yaml"), source, tmp_path / "root", size=16, workers=1)
    return tmp_path / "root"


def test_own_data_have_the_subjects_of_their_group(own):
    stored = open_dataset("own_scans", own)
    assert stored.info.subject_column == "source_split"
    assert stored.subjects().tolist() == [number // 3 for number in range(24)]


def test_own_data_are_known_by_name_where_they_lie(own, monkeypatch, tmp_path):
    assert mm.dataset("Own-Scans", own).samples.total == 24
    assert mm.dataset("own_scans", root=own).subject_column == "source_split"
    assert mm.task("own scans/DX", root=own).classes == ("a", "b")
    assert mm.task("own_scans", root=own) == open_dataset("own_scans", own).info.tasks[0]
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError, match="unknown dataset 'own_scans'"):
        mm.dataset("own_scans")
    monkeypatch.setenv("MEDIMETA_ROOT", str(own))
    assert mm.dataset("own_scans").id == "own_scans"
    assert mm.dataset("oct") is default_catalogue().dataset("oct")
