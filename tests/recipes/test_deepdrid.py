"""DeepDRiD: tables and spreadsheets of two collections are joined, and matched with files that are called otherwise."""

import dataclasses
import io
import shutil
import zipfile
from collections import Counter

import numpy as np
import openpyxl
import pytest
from PIL import Image

from medimeta.errors import SourceNotFoundError, TableError
from medimeta.recipes.deepdrid import RECIPE
from medimeta.recipes.recipe import Options
from medimeta.recipes.refusal import refuse_misfits
from medimeta.sources.find import find_original
from medimeta.synthetic import deepdrid as synthetic

REGULAR, WIDE = "regular_fundus_images", "ultra-widefield_images"
TRAIN, VAL, TEST = "regular-fundus-training", "regular-fundus-validation", "Online-Challenge1&2-Evaluation"
HEAD = "patient_id,image_id,image_path,Overall quality,left_eye_DR_Level,right_eye_DR_Level,patient_DR_Level,"
HEAD += "Clarity,Field definition,Artifact"


def table(*lines, head=HEAD):
    return "".join(f"{line}\r\n" for line in (head, *lines)).encode()


def sheet(*rows):
    book, file = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def tree():
    """A small regular collection; images are empty, as a listing does not read them."""
    files = {
        f"{TRAIN}/{TRAIN}.csv": table(
            rf"10,10_r1,\{TRAIN}\10\10_r1.jpg,1,,2,3,8,10,0",
            rf"2,2_r1,\{TRAIN}\2\2_r1.jpg,0,,0,1,4,6,10",
            rf"2,2_l2,\{TRAIN}\2\2_l2.jpg,1,1,,1,6,8,4",
        ),
        f"{TRAIN}/regular-fundus-source-training.csv": table(
            rf"2,2_l2,\{TRAIN}\2\2_l2.jpg,Shanghai",
            rf"2,2_r1,\{TRAIN}\2\2_r1.jpg,Nicheng",
            rf"10,10_r1,\{TRAIN}\10\10_r1.jpg,Nation",
            head="patient_id,image_id,image_path,Source",
        ),
        f"{TRAIN}/Images/10/10_r1.jpg": b"",
        f"{TRAIN}/Images/2/2_r1.jpg": b"",
        f"{TRAIN}/Images/2/2_l2.jpg": b"",
        f"{VAL}/{VAL}.csv": table(rf"265,265_l1,\{VAL}\265\265_l1.jpg,0,3,,4,4,8,10"),
        f"{VAL}/Images/265/265_l1.jpg": b"",
        f"{TEST}/Challenge1_labels.xlsx": sheet(
            ("image_id", "DR_Levels"), ("347_l1", 2), ("99_r2", 0), ("", ""), ("347_l10", 2)
        ),
        f"{TEST}/Challenge2_labels.xlsx": sheet(
            ("image_id", "Overall quality", "Artifact", "Clarity", "Field definition"),
            ("99_r2", 1, 0, 10, 8),
            ("347_l10", 0, 6, 1, 4),
            ("347_l1", 1.0, 1, 8, 6),
        ),
        f"{TEST}/Challenge1_upload.csv": table("347_l1,", "99_r2,", "347_l10,", head="image_id,DR_Levels"),
        **{f"{TEST}/Images/{name}.jpg": b"" for name in ("347/347_l1", "347/347_l10", "99/99_r2")},
    }
    return {f"{REGULAR}/{name}": data for name, data in files.items()}


@pytest.fixture
def listed(tmp_path):
    """List the images of a download that holds these files."""

    def listed(files, datasets=("dr_regular",), **options):
        archive = tmp_path / "DeepDRiD-master.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for name, data in files.items():
                file.writestr(f"DeepDRiD-master/{name}", data)
        return listing(archive, datasets, **options)

    return listed


def listing(path, datasets=(), *, allow_partial=False):
    source = find_original(path, RECIPE.original, datasets, allow_partial=allow_partial)
    found = RECIPE.listing(source, Options(allow_partial=allow_partial))
    refuse_misfits(found, str(path), allow_partial=True)
    return found


def image_ids(found, dataset="dr_regular"):
    return [sample.annotations["image_id"] for sample in found.samples[dataset]]


def test_images_are_in_the_order_of_splits_patient_numbers_and_image_ids_as_strings(listed):
    found = listed(tree())
    assert image_ids(found) == ["2_l2", "2_r1", "10_r1", "265_l1", "99_r2", "347_l1", "347_l10"]
    splits = ["train"] * 3 + ["val"] + ["test"] * 3
    assert [sample.original_split for sample in found.samples["dr_regular"]] == splits
    assert RECIPE.splits("dr_regular", found.samples["dr_regular"]) == splits
    assert (found.missing, found.unnamed, found.dropped) == ([], [], {})


def test_labels_are_the_grade_of_the_patient_and_the_scores_of_the_photograph(listed):
    samples = dict(zip(image_ids(found := listed(tree())), found.samples["dr_regular"], strict=True))
    tasks = ("DR level", "Overall quality", "Artifact", "Clarity", "Field definition")
    labels = {name: tuple(sample.labels[task] for task in tasks) for name, sample in samples.items()}
    assert labels == {
        "2_l2": (1, 1, 4, 6, 8),
        "2_r1": (1, 0, 10, 4, 6),
        "10_r1": (3, 1, 0, 8, 10),
        "265_l1": (4, 0, 10, 4, 8),
        "99_r2": (0, 1, 0, 10, 8),
        "347_l1": (2, 1, 1, 8, 6),
        "347_l10": (2, 0, 6, 1, 4),
    }


def test_annotations_are_what_else_the_tables_say(listed):
    first, *_, last = listed(tree()).samples["dr_regular"]
    assert first.annotations == {
        "patient_id": "2",
        "image_id": "2_l2",
        "left_eye_dr_level": "1",
        "right_eye_dr_level": "",
        "source": "Shanghai",
    }
    assert last.annotations == {"patient_id": "347", "image_id": "347_l10"}


def test_paths_are_those_on_the_disk_in_the_form_of_the_release(listed):
    files = {
        name.replace("/Images/", "/images/").replace(REGULAR, REGULAR.upper()): data for name, data in tree().items()
    }
    found = listed(files)
    assert found.samples["dr_regular"][2].original_filepath == f"{REGULAR}/{TRAIN}/Images/10/10_r1.jpg"
    assert found.samples["dr_regular"][-1].original_filepath == f"{REGULAR}/{TEST}/Images/347/347_l10.jpg"


@pytest.mark.parametrize(
    ("name", "on_disk"),
    [("2/2_l2.jpg", "2/l2.jpg"), ("2/2_l2.jpg", "2/2_L2.JPG"), ("2/2_l2.jpg", "2/2_l2.jpeg")],
    ids=["without the patient's number", "in capitals", "with another extension"],
)
def test_files_that_are_called_otherwise_are_found(listed, name, on_disk):
    files = tree()
    files[f"{REGULAR}/{TRAIN}/Images/{on_disk}"] = files.pop(f"{REGULAR}/{TRAIN}/Images/{name}")
    found = listed(files)
    assert found.samples["dr_regular"][0].original_filepath == f"{REGULAR}/{TRAIN}/Images/{on_disk}"
    assert (found.missing, found.unnamed) == ([], [])


def test_an_image_id_without_the_patients_number_is_the_same_image(listed):
    files = tree()
    name = f"{REGULAR}/{TRAIN}/{TRAIN}.csv"
    files[name] = files[name].replace(b"2,2_l2,", b"2,l2,")
    sample = listed(files).samples["dr_regular"][1]
    assert sample.original_filepath.endswith("Images/2/2_l2.jpg")
    assert (sample.annotations["image_id"], sample.annotations["source"]) == ("l2", "Shanghai")


def test_a_file_is_found_by_the_last_two_parts_of_the_path_with_backslashes(listed):
    files = tree()
    name = f"{REGULAR}/{TRAIN}/{TRAIN}.csv"
    files[name] = files[name].replace(rb"\2\2_l2.jpg", rb"\2\other.jpg")
    files[f"{REGULAR}/{TRAIN}/Images/2/other.jpg"] = files.pop(f"{REGULAR}/{TRAIN}/Images/2/2_l2.jpg")
    assert listed(files).samples["dr_regular"][0].member.endswith("/2/other.jpg")


def test_a_byte_order_mark_and_other_cases_of_columns_do_not_matter(listed):
    files = tree()
    name = f"{REGULAR}/{TRAIN}/{TRAIN}.csv"
    expected = listed(files).samples
    files[name] = b"\xef\xbb\xbf" + files[name].replace(b"Overall quality", b"OVERALL_Quality").replace(b"\r\n", b"\n")
    assert listed(files).samples == expected


def test_spreadsheets_are_told_apart_by_their_columns_not_by_their_names(listed):
    expected = listed(tree()).samples
    files = tree()
    for old, new in (("Challenge1_labels", "z/b"), ("Challenge2_labels", "a")):
        files[f"{REGULAR}/{TEST}/{new}.XLSX"] = files.pop(f"{REGULAR}/{TEST}/{old}.xlsx")
    files[f"{REGULAR}/{TEST}/notes.xlsx"] = sheet(("author", "note"), ("somebody", "nothing"))
    files[f"{REGULAR}/{TEST}/~$a.xlsx"] = b"\x05user"
    assert listed(files).samples == expected


def test_ungradable_images_are_dropped_with_their_place(listed):
    files = tree()
    name = f"{REGULAR}/{TRAIN}/{TRAIN}.csv"
    files[name] = files[name].replace(b",0,,0,1,4,6,10", b",0,,5,5,,,")
    found = listed(files)
    assert image_ids(found)[:3] == ["2_l2", "10_r1", "265_l1"]
    [dropped] = found.dropped["dr_regular"]
    assert f"{TRAIN}.csv, line 3: 2_r1 has grade 5, which stands for ungradable" in dropped
    assert (found.missing, found.unnamed) == ([], [])


def test_what_is_on_one_side_alone_is_told(listed):
    files = tree()
    files[f"{REGULAR}/{TRAIN}/Images/11/11_r1.jpg"] = files.pop(f"{REGULAR}/{TRAIN}/Images/10/10_r1.jpg")
    found = listed(files)
    assert image_ids(found)[:3] == ["2_l2", "2_r1", "265_l1"]
    [missing], [unnamed] = found.missing, found.unnamed
    assert f"{TRAIN}.csv, line 2: image 10_r1 is missing" in missing
    assert f"{TRAIN}/Images/11/11_r1.jpg: is in no table" in unnamed


def test_everything_that_is_wrong_with_rows_is_told_at_once(listed):
    files = tree()
    files[f"{REGULAR}/{TRAIN}/{TRAIN}.csv"] = table(
        r"2,2_r1,x,0,,0,,4,6,10",
        r"2,2_l2,x,1,1,,1,6,8,4",
        r"2,l2,x,1,1,,1,6,8,4",
        r"two,two_l2,x,1,1,,1,6,8,4",
        r"10,10_r1,x,1,,2,3,8,10,0",
    )
    source = f"{REGULAR}/{TRAIN}/regular-fundus-source-training.csv"
    files[source] = files[source].replace(b"Source", b"Clarity").replace(b"Nation", b"4")
    files[source] = files[source].replace(b"Nicheng", b"4").replace(b"Shanghai", b"6")
    with pytest.raises(TableError) as error:
        listed(files)
    folder = error.value.problems[0].partition(f"{TRAIN}.csv")[0]
    assert [problem.replace(folder, "") for problem in error.value.problems] == [
        f"{TRAIN}.csv, line 4: image l2 is named already in {TRAIN}.csv, line 3",
        f"{TRAIN}.csv, line 5: image_id 'two_l2' names no image of a patient; expected one like 1_l1",
        f"regular-fundus-source-training.csv, line 4: clarity is 4, but 8 in {TRAIN}.csv, line 6",
        f"{TRAIN}.csv, line 2: has no patient_dr_level",
    ]


def test_grades_that_nobody_knows_are_left_to_the_card(listed):
    files = tree()
    name = f"{REGULAR}/{TRAIN}/{TRAIN}.csv"
    files[name] = files[name].replace(b",3,8,10,0", b",7,8,good,0")
    labels = listed(files).samples["dr_regular"][2].labels
    assert (labels["DR level"], labels["Field definition"]) == (7, "good")


def test_an_empty_form_is_no_label_table(listed):
    files = {name: data for name, data in tree().items() if not name.endswith("Challenge1_labels.xlsx")}
    files |= {name: sheet(("image_id", "DR_Levels")) for name in files if name.endswith("Challenge2_labels.xlsx")}
    with pytest.raises(
        TableError, match=r"expected spreadsheets \(.xlsx\) with image_id and overall_quality, artifact"
    ):
        listed(files)
    files = {name: data for name, data in files.items() if not name.endswith(".xlsx")}
    with pytest.raises(
        SourceNotFoundError, match="and patient_dr_level or dr_level or .* found none. Fetch the archive"
    ):
        listed(files)
    found = listed(files, allow_partial=True)
    assert image_ids(found) == ["2_l2", "2_r1", "10_r1", "265_l1"]
    assert len(found.unnamed) == 3


def test_a_split_may_be_absent_from_a_part_of_the_original_only(listed):
    files = {name: data for name, data in tree().items() if VAL not in name}
    with pytest.raises(SourceNotFoundError, match="the folder regular_fundus_images with .*regular-fundus-validation"):
        listed(files)
    assert image_ids(listed(files, allow_partial=True)) == ["2_l2", "2_r1", "10_r1", "99_r2", "347_l1", "347_l10"]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The synthetic original, as an archive."""
    [path] = synthetic.write(tmp_path_factory.mktemp("original"), 5, 0)
    return path


def test_the_synthetic_original_has_every_quirk(original):
    found = listing(original)
    assert {name: len(samples) for name, samples in found.samples.items()} == {"dr_regular": 25, "dr_uwf": 25}
    assert {name: len(rows) for name, rows in found.dropped.items()} == {"dr_regular": 4, "dr_uwf": 4}
    assert (found.missing, found.unnamed) == ([], [])
    paths = [sample.original_filepath for samples in found.samples.values() for sample in samples]
    assert [path for path in paths if path.endswith("/Images/2/l1.jpg")] == [
        f"{REGULAR}/{TRAIN}/Images/2/l1.jpg",
        f"{WIDE}/ultra-widefield-training/Images/2/l1.jpg",
    ]
    assert any(path.endswith(".JPG") for path in paths)
    patients = [int(sample.annotations["patient_id"]) for sample in found.samples["dr_uwf"]]
    assert patients[10:20] == sorted(patients[10:20]) != sorted(patients[10:20], key=str)
    with zipfile.ZipFile(original) as file:
        tables = [file.read(name) for name in file.namelist() if name.endswith("training.csv")]
    assert [b"\r\n" in data and b"training\\2\\2_l1.jpg" in data for data in tables] == [True] * 3


@pytest.mark.parametrize("form", ["folder", "tree itself", "one level higher", "one level lower", "in a folder"])
def test_every_form_of_the_original_lists_the_same(original, tmp_path, form):
    expected = listing(original).samples
    shutil.unpack_archive(original, tmp_path / "here")
    tree = tmp_path / "here" / "DeepDRiD-master"
    if form == "one level higher":
        path = shutil.make_archive(tmp_path / "packed", "zip", tmp_path, "here")
    elif form == "one level lower":
        path = shutil.make_archive(tmp_path / "packed", "zip", tree)
    elif form == "in a folder":
        path = original.parent
    else:
        path = tree if form == "tree itself" else tmp_path / "here"
    assert listing(path).samples == expected


def test_one_collection_does_without_the_other(original, tmp_path):
    shutil.unpack_archive(original, tmp_path)
    shutil.rmtree(tmp_path / "DeepDRiD-master" / REGULAR)
    found = listing(tmp_path, ["dr_uwf"])
    assert found.samples == {"dr_uwf": listing(original).samples["dr_uwf"]}
    assert listing(tmp_path / "DeepDRiD-master" / WIDE, ["dr_uwf"]).samples == found.samples
    with pytest.raises(SourceNotFoundError, match="parts of DeepDRiD are not here"):
        listing(tmp_path)


def test_pixels_are_cropped_then_shrunk_or_enlarged(original):
    source = find_original(original, RECIPE.original)
    samples = listing(original).samples["dr_uwf"][:3]
    rendered = list(RECIPE.render_all(source, samples, Options()))
    assert {image.enlarged for image in rendered} == {True, False}
    for sample, image in zip(samples, rendered, strict=True):
        whole = Image.open(io.BytesIO(source.read(sample.member)))
        side, (width, height) = min(whole.size), whole.size
        square = whole.crop(((width - side) // 2, (height - side) // 2, (width + side) // 2, (height + side) // 2))
        if side < 224:
            square = square.resize((224, 224), Image.Resampling.BICUBIC)
        else:
            square.thumbnail((224, 224), Image.Resampling.BICUBIC)
        assert np.array_equal(image.pixels, np.asarray(square))
        assert image.original_size == whole.size


@pytest.fixture(scope="module")
def real_tables(real_originals, tmp_path_factory):
    """The real tables, with an empty file for every image that they name."""
    folder = tmp_path_factory.mktemp("real")
    shutil.copytree(real_originals / "deepdrid", folder, dirs_exist_ok=True)
    for path in sorted(folder.rglob("*.csv")):
        for line in path.read_text().splitlines()[1:] if "upload" not in path.name else ():
            patient, image_id, *_ = line.split(",")
            image = path.parent / "Images" / patient / f"{image_id}.jpg"
            image.parent.mkdir(parents=True, exist_ok=True)
            image.touch()
    return folder


def test_the_real_tables_give_the_images_of_the_release(real_tables):
    found = listing(real_tables, allow_partial=True)
    assert (found.missing, found.unnamed) == ([], [])
    assert len(found.dropped["dr_uwf"]) == 4
    counts = {name: Counter(sample.original_split for sample in samples) for name, samples in found.samples.items()}
    assert counts == {"dr_regular": {"val": 400}, "dr_uwf": {"train": 150, "val": 50}}
    wide = found.samples["dr_uwf"]
    assert Counter(sample.labels["DR level"] for sample in wide[:150]) == {0: 44, 1: 43, 2: 44, 3: 17, 4: 2}
    keys = [(int(sample.annotations["patient_id"]), sample.annotations["image_id"]) for sample in wide[:150]]
    assert keys == sorted(keys)
    assert keys[3:5] == [(2, "2_r1"), (3, "3_l2")]
    assert wide[0].original_filepath == f"{WIDE}/ultra-widefield-training/Images/1/1_l2.jpg"
    regular = found.samples["dr_regular"]
    assert Counter(sample.labels["DR level"] for sample in regular) == {0: 120, 1: 80, 2: 80, 3: 80, 4: 40}
    assert Counter(sample.labels["Artifact"] for sample in regular) == {0: 191, 1: 18, 4: 82, 6: 60, 8: 39, 10: 10}
    assert Counter(sample.annotations["source"] for sample in regular) == {"Nicheng": 368, "Nation": 20, "Shanghai": 12}
    assert dataclasses.asdict(regular[0]) == {
        "member": f"{REGULAR}/{VAL}/Images/265/265_l1.jpg",
        "original_filepath": f"{REGULAR}/{VAL}/Images/265/265_l1.jpg",
        "labels": {"DR level": 4, "Overall quality": 0, "Artifact": 10, "Clarity": 4, "Field definition": 8},
        "original_split": "val",
        "group": None,
        "masks": (),
        "annotations": {
            "patient_id": "265",
            "image_id": "265_l1",
            "left_eye_dr_level": "3",
            "right_eye_dr_level": "",
            "source": "Shanghai",
        },
        "unit": "",
        "streamed": False,
        "details": None,
    }
