"""CBIS-DDSM: files found by case and uid, the mask told from the crop by its pixels, patches cut as release 1.0 did."""

import csv
import hashlib
import io
import json
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

import medimeta as mm
from medimeta.errors import DamagedSourceError, SourceNotFoundError, TableError
from medimeta.recipes import mammo
from medimeta.recipes.mammo import RECIPE
from medimeta.recipes.mammo_tables import lucent_centered, read_tables, shared_patients
from medimeta.recipes.recipe import Options, Rendered
from medimeta.recipes.refusal import refuse_misfits
from medimeta.sources.archive import Archive
from medimeta.sources.find import find_original, open_archive
from medimeta.sources.folder import FolderArchive
from medimeta.sources.mounted import MountedArchive
from medimeta.synthetic.mammo import write

BOTH = ("mammo_calc", "mammo_mass")
PATHS = ("image file path", "cropped image file path", "ROI mask file path")


@pytest.fixture(scope="module")
def download(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("download")
    write(folder, 5, 0)
    return folder


@pytest.fixture
def copy(download, tmp_path) -> Path:
    """A copy of the download that a test may change."""
    return shutil.copytree(download, tmp_path / "copy")


def list_at(path, datasets=BOTH, **options):
    partial = options.get("allow_partial", False)
    source = find_original(path, RECIPE.original, datasets, allow_partial=partial)
    listing = RECIPE.listing(source, Options(**options))
    refuse_misfits(listing, str(path), allow_partial=True)
    return source, listing


def comparable(listing):
    """What must be the same in whatever form the original comes."""
    return {
        dataset: [(s.original_filepath, s.labels, s.original_split, s.group, s.annotations) for s in samples]
        for dataset, samples in listing.samples.items()
    }


def rows_of(folder, kind, split):
    with (folder / f"{kind}_case_description_{split}_set.csv").open(newline="", encoding="utf-8-sig") as file:
        return [{name: cell.strip() for name, cell in row.items()} for row in csv.DictReader(file)]


def place_of(folder, file):
    """How messages name a file below the folder of the images."""
    return f"{folder / 'CBIS-DDSM'}: {file.relative_to(folder / 'CBIS-DDSM').as_posix()}"


def change_rows(folder, kind, split, change):
    path = folder / f"{kind}_case_description_{split}_set.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    changed = change(rows) or rows
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, changed[0].keys())
        writer.writeheader()
        writer.writerows(changed)


def series(folder, row, column):
    return folder / "CBIS-DDSM" / Path(row[column].strip()).parent


def test_samples_are_the_rows_of_the_training_then_the_test_table(download):
    _, listing = list_at(download)
    assert (listing.missing, listing.unnamed, listing.dropped) == ([], [], {})
    assert list(listing.samples) == list(BOTH)
    for dataset, samples in listing.samples.items():
        rows = {split: rows_of(download, dataset[-4:], split) for split in ("train", "test")}
        both = rows["train"] + rows["test"]
        assert [s.original_filepath for s in samples] == [row[PATHS[1]] for row in both]
        assert [s.original_split for s in samples] == ["train"] * len(rows["train"]) + ["test"] * len(rows["test"])
        assert [s.group for s in samples] == [row["patient_id"] for row in both]
        assert [s.member.split("/")[1] for s in samples] == [row[PATHS[0]].split("/")[0] for row in both]
        assert not any("\n" in cell for s in samples for cell in (s.original_filepath, *s.annotations.values()))


def test_labels_are_those_of_the_rows_and_known_to_the_cards(download):
    _, listing = list_at(download)
    columns = {"mammo_calc": ("calc type", "calc distribution"), "mammo_mass": ("mass shape", "mass margins")}
    for dataset, samples in listing.samples.items():
        rows = rows_of(download, dataset[-4:], "train") + rows_of(download, dataset[-4:], "test")
        for sample, row in zip(samples, rows, strict=True):
            malignant = row["pathology"] == "MALIGNANT"
            assert sample.labels["pathology"] == ("malignant" if malignant else "benign")
            for task in columns[dataset]:
                assert sample.labels[task] == frozenset(row[task].split("-")) - {"N/A"}
        assert {row["pathology"] for row in rows} == {"MALIGNANT", "BENIGN", "BENIGN_WITHOUT_CALLBACK"}
        for task in columns[dataset]:
            assert set().union(*(sample.labels[task] for sample in samples)) == set(
                mm.task(f"{dataset}/{task}").classes
            )
        assert any(not sample.labels[columns[dataset][1]] for sample in samples)  # N/A


def test_the_substring_slip_of_the_release_is_made_on_request_alone(download):
    slips = 0
    wrong = list_at(download, release_errata=True)[1]
    for right, slipped in zip(list_at(download)[1].samples["mammo_calc"], wrong.samples["mammo_calc"], strict=True):
        types = right.labels["calc type"]
        slip = "LUCENT_CENTERED" in types and "LUCENT_CENTER" not in types
        assert slipped.labels["calc type"] == types | ({"LUCENT_CENTER"} if slip else set())
        assert {**slipped.labels, "calc type": types} == right.labels
        slips += slip
    assert slips > 0


def test_annotations_are_the_columns_of_the_source(download):
    _, listing = list_at(download)
    for dataset, samples in listing.samples.items():
        kind = dataset[-4:]
        density = "breast density" if kind == "calc" else "breast_density"
        for sample, row in zip(
            samples, rows_of(download, kind, "train") + rows_of(download, kind, "test"), strict=True
        ):
            assert sample.annotations == {
                "patient_id": row["patient_id"],
                "breast_density": row[density],
                "left_or_right_breast": row["left or right breast"],
                "image_view": row["image view"],
                "abnormality_id": row["abnormality id"],
                "abnormality_type": row["abnormality type"],
                "assessment": row["assessment"],
                "subtlety": row["subtlety"],
                "original_pathology": row["pathology"],
                "image_file_path": row[PATHS[0]],
                "roi_mask_file_path": row[PATHS[2]],
            }


def test_patients_are_not_torn_apart_and_test_rows_stay(download):
    _, listing = list_at(download)
    for dataset, samples in listing.samples.items():
        splits = RECIPE.splits(dataset, samples)
        of_patient = {}
        for sample, split in zip(samples, splits, strict=True):
            assert (split == "test") == (sample.original_split == "test")
            of_patient.setdefault((sample.group, sample.original_split), set()).add(split)
        assert all(len(found) == 1 for found in of_patient.values())
        classes = {"benign", "malignant"}
        for wanted in ("train", "val", "test"):
            found = {s.labels["pathology"] for s, split in zip(samples, splits, strict=True) if split == wanted}
            assert found == classes


def expected_patch(folder, row, size=224):
    """The rule anew, from the files that the row leads to: nothing of the recipe is used."""
    mammogram = pydicom.dcmread(next(series(folder, row, PATHS[0]).glob("1-*.dcm"))).pixel_array
    others = {path for column in PATHS[1:] for path in series(folder, row, column).glob("1-*.dcm")}
    arrays = [pydicom.dcmread(path).pixel_array for path in others]
    (mask,) = (array for array in arrays if array.shape == mammogram.shape and len(np.unique(array)) == 2)
    assert len(arrays) == 2
    box = []
    for axis in (1, 0):
        inside = np.nonzero(mask.sum(axis))[0]
        first, last = int(inside[0]), int(inside[-1])
        if last - first < 224:
            first, last = first - (224 - (last - first)) // 2, last + (224 - (last - first)) // 2
        box.append([first, last])
    (r0, r1), (c0, c1) = box
    if r1 - r0 >= c1 - c0:
        c0 = round((c0 + c1) // 2 - (r1 - r0) / 2)
        c1 = c0 + r1 - r0
    else:
        r0 = round((r0 + r1) // 2 - (c1 - c0) / 2)
        r1 = r0 + c1 - c0
    padded = np.pad(mammogram, 400)
    patch = padded[r0 + 400 : r1 + 401, c0 + 400 : c1 + 401]
    grey = np.uint8(patch.astype(np.float64) / 65535 * 255)
    return np.asarray(Image.fromarray(grey).resize((size, size), Image.Resampling.BICUBIC)), patch, mammogram


@pytest.mark.parametrize("dataset", BOTH)
def test_every_patch_is_what_the_rule_makes_of_its_files(download, dataset):
    source, listing = list_at(download, [dataset])
    kind, samples = dataset[-4:], listing.samples[dataset]
    rows = rows_of(download, kind, "train") + rows_of(download, kind, "test")
    sizes, swapped, left_image = set(), [], 0
    for row, rendered in zip(rows, RECIPE.render_all(source, samples, Options()), strict=True):
        pixels, patch, mammogram = expected_patch(download, row)
        assert isinstance(rendered, Rendered)
        assert rendered.pixels.dtype == np.uint8
        assert np.array_equal(rendered.pixels, pixels), row
        assert rendered.original_size == mammogram.shape[::-1]
        assert (rendered.warnings, rendered.enlarged) == ((), False)
        (top, bottom), (left, right) = json.loads(rendered.annotations["cut_box"])
        assert (bottom - top + 1, right - left + 1) == patch.shape
        sizes.add(patch.shape)
        swapped.append((row, rendered.annotations["crop_and_mask_swapped"]))
        left_image += min(top, left) < 0 or bottom >= mammogram.shape[0] or right >= mammogram.shape[1]
    assert any(max(size) > 226 for size in sizes)
    assert any(max(size) <= 225 for size in sizes)
    assert left_image
    # In the synthetic tables every fourth patient's columns are swapped.
    assert {flag for row, flag in swapped if row["patient_id"] in {"P_00008", "P_00404"}} == {"true"}
    assert {flag for row, flag in swapped if row["patient_id"] not in {"P_00008", "P_00404"}} == {"false"}


def test_the_patch_is_widened_to_the_size_of_the_release_whatever_size_is_built(download):
    source, listing = list_at(download, ["mammo_mass"])
    row = rows_of(download, "mass", "train")[0]
    rendered = RECIPE.render(source, listing.samples["mammo_mass"][0], Options(64))
    assert np.array_equal(rendered.pixels, expected_patch(download, row, 64)[0])
    larger = RECIPE.render(source, listing.samples["mammo_mass"][0], Options(300))
    assert larger.enlarged


def test_eight_bits_are_cut_off_not_rounded():
    assert mammo._eight_bit(np.array([[0, 256, 257, 513, 514, 65535]], np.uint16)).tolist() == [[0, 0, 1, 1, 2, 255]]
    assert mammo._eight_bit(np.array([[0, 7, 255]], np.uint8)).tolist() == [[0, 7, 255]]


def test_listing_reads_no_image(download, monkeypatch):
    real = FolderArchive._read

    def read(self, name):
        assert not name.endswith(".dcm"), name
        return real(self, name)

    monkeypatch.setattr(FolderArchive, "_read", read)
    list_at(download)


def as_itself(copy, tmp_path):
    return copy


def as_one_zip(copy, tmp_path):
    return Path(shutil.make_archive(str(tmp_path / "all"), "zip", copy))


def as_zip_and_tables(copy, tmp_path):
    shutil.make_archive(str(tmp_path / "new" / "my images"), "zip", copy, "CBIS-DDSM")
    for table in copy.glob("*.csv"):
        shutil.move(table, tmp_path / "new")
    return tmp_path / "new"


def as_zip_of_cases(copy, tmp_path):
    shutil.make_archive(str(tmp_path / "new" / "cases"), "zip", copy / "CBIS-DDSM")
    for table in copy.glob("*.csv"):
        shutil.move(table, tmp_path / "new")
    return tmp_path / "new"


def as_tables_in_the_tree(copy, tmp_path):
    for table in copy.glob("*.csv"):
        shutil.move(table, copy / "CBIS-DDSM")
    return copy / "CBIS-DDSM"


def as_tables_in_other_folders(copy, tmp_path):
    for number, table in enumerate(sorted(copy.glob("*.csv"))):
        (copy / "tables" / str(number)).mkdir(parents=True)
        shutil.move(table, copy / "tables" / str(number))
    return copy


def as_the_downloader_leaves_it(copy, tmp_path):
    (copy / "manifest-ZkhPvrLo5216730872708713142").mkdir()
    shutil.move(copy / "CBIS-DDSM", copy / "manifest-ZkhPvrLo5216730872708713142" / "CBIS-DDSM")
    return copy


def as_a_folder_of_its_own_name(copy, tmp_path):
    shutil.move(copy / "CBIS-DDSM", copy / "inner")
    (copy / "CBIS-DDSM").mkdir()
    shutil.move(copy / "inner", copy / "CBIS-DDSM" / "CBIS-DDSM")
    return copy


def as_cases_in_a_folder_of_another_name(copy, tmp_path):
    shutil.move(copy / "CBIS-DDSM", copy / "dicom images")
    return copy


def as_names_in_other_case(copy, tmp_path):
    for case in sorted((copy / "CBIS-DDSM").iterdir()):
        case.rename(case.with_name(case.name.lower()))
    for file in sorted(copy.rglob("1-1.dcm")):
        file.rename(file.with_name("1-1.DCM"))
    for table in sorted(copy.glob("*.csv")):
        table.rename(table.with_name(table.name.upper()))
    (copy / "CBIS-DDSM").rename(copy / "cbis ddsm")
    return copy


def as_files_called_as_in_the_tables(copy, tmp_path):
    for number in (1, 2):
        for file in sorted(copy.rglob(f"1-{number}.dcm")):
            file.rename(file.with_name(f"{number - 1:06d}.dcm"))
    return copy


def as_series_called_by_their_description(copy, tmp_path):
    for folder in sorted((copy / "CBIS-DDSM").glob("*/*/*")):
        folder.rename(folder.with_name(f"1.000000-ROI mask images-{folder.name[-5:]}"))
    for folder in sorted((copy / "CBIS-DDSM").glob("*/*")):
        folder.rename(folder.with_name(f"08-29-2017-DDSM-NA-{folder.name[-5:]}"))
    return copy


def as_cases_without_uids(copy, tmp_path):
    for case in sorted((copy / "CBIS-DDSM").iterdir()):
        for number, file in enumerate(sorted(case.rglob("1-*.dcm")), 1):
            file.rename(case / f"1-{number}.dcm")
    return copy


def as_tables_of_another_system(copy, tmp_path):
    def change(rows):
        for row in rows:
            row.update({column: row[column].replace("/", "\\") for column in PATHS})
            row[PATHS[0]] = f"CBIS-DDSM\\{row[PATHS[0]]}\r\n"

    for kind in ("calc", "mass"):
        for split in ("train", "test"):
            change_rows(copy, kind, split, change)
    for table in copy.glob("*.csv"):
        table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes())
    return copy


FORMS = [value for name, value in list(globals().items()) if name.startswith("as_")]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_listing_is_the_same_in_whatever_form_people_keep_it(download, copy, tmp_path, form):
    place = form(copy, tmp_path)
    source, listing = list_at(place)
    assert (listing.missing, listing.unnamed) == ([], [])
    found, expected = comparable(listing), comparable(list_at(download)[1])
    if form is as_tables_of_another_system:
        for samples in (*found.values(), *expected.values()):
            for *_, annotations in samples:
                del annotations["image_file_path"], annotations["roi_mask_file_path"]
    assert found == expected
    rendered = RECIPE.render(source, listing.samples["mammo_mass"][0], Options())
    assert np.array_equal(rendered.pixels, expected_patch(download, rows_of(download, "mass", "train")[0])[0])


@pytest.mark.parametrize("column", PATHS)
@pytest.mark.parametrize("place", [0, 2])  # crop and mask in one series, and in two
def test_a_row_without_its_files_is_told_and_has_no_sample(copy, column, place):
    row = rows_of(copy, "mass", "train")[place]
    shutil.rmtree(series(copy, row, column))
    _, listing = list_at(copy)
    whole = {PATHS[0]: f"{row[PATHS[0]]} is missing"}
    part = f"{'one of ' if place else ''}{row[PATHS[1]]} and its mask is missing"
    line = 2 + 2 * place  # the last cell of a row ends in a newline
    assert [message.rpartition("train_set.csv, ")[2] for message in listing.missing] == [
        f"line {line + 1}: {whole.get(column, part)}"
    ]
    assert row[PATHS[1]] not in [sample.original_filepath for sample in listing.samples["mammo_mass"]]
    assert listing.unnamed == []


def test_images_that_no_row_names_are_told(copy):
    rows = rows_of(copy, "calc", "test")
    extra = copy / "CBIS-DDSM" / "Calc-Test_P_09999_LEFT_CC" / "1.2" / "1.3" / "1-1.dcm"
    extra.parent.mkdir(parents=True)
    extra.write_bytes(b"")
    again = series(copy, rows[0], PATHS[0]) / "1-2.dcm"
    again.write_bytes(b"")
    _, listing = list_at(copy)
    assert sorted(listing.unnamed) == sorted(
        f"{place_of(copy, path)}: is not named in any table" for path in (extra, again)
    )
    assert len(listing.samples["mammo_calc"]) == len(rows) + len(rows_of(copy, "calc", "train"))


@pytest.mark.parametrize("described", [False, True])
def test_files_are_taken_from_the_series_that_the_row_names(first_mass, described):
    copy, row, _, mask = first_mass
    expected = expected_patch(copy, row)[0]
    other = mask.parent.with_name(f"{mask.parent.name[:-1]}0") / "1-1.dcm"  # a second mask in the same study
    other.parent.mkdir()
    shutil.copy(mask, other)
    if described:
        mask.parent.rename(mask.parent.with_name(f"1.000000-cropped images-{mask.parent.name[-5:]}"))
    source, listing = list_at(copy, ["mammo_mass"])
    assert listing.unnamed == [f"{place_of(copy, other)}: is not named in any table"]
    assert np.array_equal(RECIPE.render(source, listing.samples["mammo_mass"][0], Options()).pixels, expected)


def test_one_kind_can_be_had_without_the_images_or_tables_of_the_other(download, copy):
    whole = comparable(list_at(download)[1])
    assert comparable(list_at(copy, ["mammo_calc"])[1]) == {"mammo_calc": whole["mammo_calc"]}
    for case in (copy / "CBIS-DDSM").glob("Mass-*"):
        shutil.rmtree(case)
    _, listing = list_at(copy, ["mammo_calc"])
    assert (listing.missing, comparable(listing)) == ([], {"mammo_calc": whole["mammo_calc"]})
    for table in copy.glob("mass*.csv"):
        table.unlink()
    assert comparable(list_at(copy, ["mammo_calc"])[1]) == {"mammo_calc": whole["mammo_calc"]}
    with pytest.raises(SourceNotFoundError, match="mass_case_description_train_set.csv"):
        list_at(copy, ["mammo_mass"])


def test_the_images_of_the_other_kind_are_not_called_unnamed(copy):
    for table in copy.glob("calc*.csv"):
        table.unlink()
    _, listing = list_at(copy, ["mammo_mass"])
    assert (list(listing.samples), listing.unnamed) == (["mammo_mass"], [])


def test_a_table_may_be_missing_in_a_partial_build_alone(download, copy):
    (copy / "mass_case_description_test_set.csv").unlink()
    with pytest.raises(SourceNotFoundError, match="mass_case_description_test_set.csv"):
        list_at(copy, ["mammo_mass"])
    _, listing = list_at(copy, ["mammo_mass"], allow_partial=True)
    assert {sample.original_split for sample in listing.samples["mammo_mass"]} == {"train"}
    assert (listing.missing, listing.unnamed) == ([], [])
    source = find_original(copy, RECIPE.original, ["mammo_mass"], allow_partial=True)
    with pytest.raises(SourceNotFoundError, match="are missing:\n  - mass_case_description_test_set.csv$"):
        RECIPE.listing(source, Options())


def test_tables_without_images_are_not_enough_even_for_a_partial_build(copy):
    shutil.rmtree(copy / "CBIS-DDSM")
    with pytest.raises(SourceNotFoundError, match="the folder CBIS-DDSM"):
        list_at(copy, allow_partial=True)


def test_images_without_tables_are_not_enough(copy):
    for table in copy.glob("*.csv"):
        table.unlink()
    source = find_original(copy, RECIPE.original, allow_partial=True)
    with pytest.raises(SourceNotFoundError, match="tables of CBIS-DDSM are missing:\n  - calc_case_description_train"):
        RECIPE.listing(source, Options(allow_partial=True))


def test_rows_that_cannot_be_used_are_told_all_at_once(copy):
    def no_path(rows):
        rows[0][PATHS[0]], rows[1]["patient_id"] = "000000.dcm", ""

    def empty_path(rows):
        rows[2][PATHS[2]] = "\n"

    change_rows(copy, "calc", "train", no_path)
    change_rows(copy, "mass", "test", empty_path)
    with pytest.raises(TableError) as error:
        list_at(copy)
    found = [problem.removeprefix(f"{copy}: ") for problem in error.value.problems]
    expected = "expected a patient and three paths of CASE/STUDY/SERIES/FILE.dcm"
    assert [problem.partition(", line ")[0] for problem in found] == [
        "calc_case_description_train_set.csv",
        "calc_case_description_train_set.csv",
        "mass_case_description_test_set.csv",
    ]
    assert all(problem.endswith(expected) for problem in found)


def test_a_lesion_that_is_listed_twice_is_refused(copy):
    change_rows(copy, "mass", "train", lambda rows: [*rows, rows[0]])
    with pytest.raises(TableError, match="patient_id P_00001, .* abnormality_id 1 is already in line"):
        list_at(copy)


def test_a_table_without_a_column_is_refused(copy):
    change_rows(copy, "mass", "train", lambda rows: [{k: v for k, v in r.items() if k != "mass shape"} for r in rows])
    with pytest.raises(TableError, match="has no column 'mass_shape'"):
        list_at(copy)


def test_a_new_word_is_left_to_the_card_to_refuse(copy):
    def change(rows):
        rows[0]["pathology"], rows[0]["mass shape"] = "UNSURE", "OVAL-SQUARE"

    change_rows(copy, "mass", "train", change)
    labels = list_at(copy)[1].samples["mammo_mass"][0].labels
    assert (labels["pathology"], labels["mass shape"]) == ("UNSURE", frozenset({"OVAL", "SQUARE"}))


def rewrite(path, change):
    dataset = pydicom.dcmread(path)
    pixels = change(dataset.pixel_array)
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    file = io.BytesIO()
    dataset.save_as(file)
    path.write_bytes(file.getvalue())


@pytest.fixture
def first_mass(copy):
    """A copy, the first row of the masses, the files of its crop and its mask."""
    row = rows_of(copy, "mass", "train")[0]
    crop, mask = sorted(series(copy, row, PATHS[1]).glob("1-*.dcm"))
    return copy, row, crop, mask


def render_first(copy):
    source, listing = list_at(copy, ["mammo_mass"])
    return RECIPE.render(source, listing.samples["mammo_mass"][0], Options())


def test_files_without_a_mask_among_them_are_named(first_mass):
    copy, _, crop, mask = first_mass
    rewrite(mask, lambda pixels: np.zeros_like(pixels))
    with pytest.raises(DamagedSourceError, match="expected one mask with two values and 260x300 pixels among") as error:
        render_first(copy)
    assert error.value.problems[1] == f"{place_of(copy, mask)}: 260x300 pixels, not two values"
    assert error.value.problems[0].startswith(f"{place_of(copy, crop)}: ")


def test_files_with_two_masks_among_them_are_named(first_mass):
    copy, _, crop, mask = first_mass
    shutil.copy(mask, crop)
    with pytest.raises(DamagedSourceError, match="expected one mask"):
        render_first(copy)


def test_a_crop_of_two_values_is_not_taken_for_the_mask(first_mass):
    copy, row, crop, _ = first_mass
    rewrite(crop, lambda pixels: np.where(pixels > 20_000, 1, 0).astype(np.uint16))
    assert np.array_equal(render_first(copy).pixels, expected_patch(copy, row)[0])


def test_any_two_values_make_a_mask(first_mass):
    copy, row, _, mask = first_mass
    before = expected_patch(copy, row)[0]
    rewrite(mask, lambda pixels: pixels // 255)
    assert np.array_equal(render_first(copy).pixels, before)


def test_a_mask_of_another_size_is_scaled_and_told(first_mass):
    copy, row, _, mask = first_mass
    rewrite(mask, lambda pixels: np.repeat(np.repeat(pixels, 2, 0), 2, 1))
    rendered = render_first(copy)
    assert rendered.warnings == (f"{place_of(copy, mask)}: is 520x600 pixels, its mammogram 260x300; it was scaled",)
    rewrite(mask, lambda pixels: pixels[::2, ::2])
    assert np.array_equal(rendered.pixels, expected_patch(copy, row)[0])


def test_a_file_that_does_not_decode_is_named_and_the_others_are_rendered(first_mass):
    copy, _, crop, _ = first_mass
    crop.write_bytes(crop.read_bytes()[:-50])
    source, listing = list_at(copy, ["mammo_mass"])
    rendered = list(RECIPE.render_all(source, listing.samples["mammo_mass"][:3], Options()))
    assert str(rendered[0]).startswith(f"{place_of(copy, crop)}: does not decode")
    assert [type(result) for result in rendered[1:]] == [Rendered, Rendered]


def test_a_lesion_too_large_to_be_true_is_refused(download, monkeypatch):
    monkeypatch.setattr(mammo, "MAX_PIXELS", 224 * 224 - 1)
    source, listing = list_at(download, ["mammo_mass"])
    with pytest.raises(DamagedSourceError, match="marks a lesion of 50,"):
        RECIPE.render(source, listing.samples["mammo_mass"][0], Options())


def test_members_that_are_read_are_declared(download, monkeypatch):
    source, listing = list_at(download)
    read = []
    monkeypatch.setattr(type(source), "read", lambda self, name: read.append(name) or self._read(name))
    for sample in listing.samples["mammo_mass"][:4]:
        read.clear()
        RECIPE.render(source, sample, Options())
        assert read == [sample.member, *sample.masks]


class NamesOnly(Archive):
    """The names of files, and nothing in them."""

    def __init__(self, names):
        super().__init__(Path("names"))
        self.names = names

    def _names(self):
        return iter(self.names)

    def _size(self, name):
        return 0

    def _read(self, name):
        pytest.fail(f"{name} was read")

    _open = _read

    def state(self, members):
        return ""


@pytest.fixture(scope="module")
def real_source(real_originals):
    """The real tables, with files of the real names that hold nothing."""
    names = set()
    folder = real_originals / "mammo"
    for kind in ("calc", "mass"):
        for split in ("train", "test"):
            for row in rows_of(folder, kind, split):
                names.update(
                    row[column].replace("00000.dcm", "1-1.dcm").replace("00001.dcm", "1-2.dcm") for column in PATHS
                )
    tables = {path.stem: FolderArchive(folder) for path in folder.glob("*.csv")}
    return MountedArchive(real_originals, {**tables, "CBIS-DDSM": NamesOnly(names)})


def test_real_tables_give_the_counts_and_splits_of_the_release(real_originals, real_source):
    listing = RECIPE.listing(real_source, Options())
    assert (listing.missing, listing.unnamed) == ([], [])
    golden = json.loads((real_originals / "golden" / "splits.json").read_text())["splits"]
    for dataset, samples in listing.samples.items():
        card = mm.dataset(dataset)
        splits = RECIPE.splits(dataset, samples)
        counts = Counter(splits)
        assert (counts["train"], counts["val"], counts["test"]) == (
            card.samples.train,
            card.samples.val,
            card.samples.test,
        )
        assert Counter(s.original_split for s in samples) == {
            "train": card.original_samples.train,
            "test": card.original_samples.test,
        }
        text = "".join(str(("train", "val", "test").index(split)) for split in splits)
        assert [len(samples), hashlib.sha256(text.encode()).hexdigest()] == golden[dataset]
        assert len({sample.original_filepath for sample in samples}) == len(samples)
        for task in card.tasks:
            words = {
                label
                for s in samples
                for label in ({s.labels[task.name]} if task.name == "pathology" else s.labels[task.name])
            }
            assert words == set(task.classes)


def test_real_tables_leave_as_many_labels_unset_as_the_cards_say(real_source):
    samples = RECIPE.listing(real_source, Options()).samples
    unset = {
        task: sum(not sample.labels[task] for sample in samples[dataset])
        for dataset, task in [
            ("mammo_calc", "calc type"),
            ("mammo_calc", "calc distribution"),
            ("mammo_mass", "mass shape"),
            ("mammo_mass", "mass margins"),
        ]
    }
    assert unset == {"calc type": 24, "calc distribution": 439, "mass shape": 4, "mass margins": 60}


def test_real_tables_share_the_patients_that_the_cards_declare(real_source):
    shared = shared_patients(read_tables(real_source))
    assert tuple(map(len, shared)) == (79, 13, 18)
    assert shared.mass_train_in_calc_test | shared.calc_train_in_mass_test < shared.both


def test_on_44_real_rows_the_release_sets_a_label_too_many(real_source):
    rows = lucent_centered(read_tables(real_source))
    assert len(rows) == 44
    assert all("calc_case_description_train_set.csv" in row.place for row in rows)
    right = RECIPE.listing(real_source, Options()).samples["mammo_calc"]
    slipped = RECIPE.listing(real_source, Options(release_errata=True)).samples["mammo_calc"]
    differing = [(a, b) for a, b in zip(right, slipped, strict=True) if a.labels != b.labels]
    assert len(differing) == 44
    assert all(b.labels["calc type"] - a.labels["calc type"] == {"LUCENT_CENTER"} for a, b in differing)


def test_in_the_synthetic_tables_patients_are_shared_as_well(download):
    source, _ = list_at(download)
    assert all(shared_patients(read_tables(source)))


def test_the_synthetic_original_depends_on_the_seed_and_grows_without_a_change(tmp_path, download):
    def files(folder):
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("1-*.dcm")}

    for name, arguments in {"other": (5, 1), "more": (6, 0)}.items():
        (tmp_path / name).mkdir()
        write(tmp_path / name, *arguments)
    whole = files(download)
    assert whole.items() < files(tmp_path / "more").items()
    assert not set(whole.values()) & set(files(tmp_path / "other").values())


def test_a_zip_in_which_files_lie_in_any_order_gives_the_same_listing(download, tmp_path):
    path = tmp_path / "shuffled.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(download.rglob("*"), reverse=True):
            archive.write(file, Path("x") / file.relative_to(download))
    assert comparable(list_at(path)[1]) == comparable(list_at(download)[1])
    assert open_archive(path).members
