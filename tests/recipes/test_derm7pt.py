"""derm7pt: one table gives two datasets, with merged and grouped labels, in the splits of the index files."""

import io
import shutil
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

import medimeta as mm
from medimeta.errors import SourceNotFoundError, TableError
from medimeta.recipes.derm7pt import RECIPE
from medimeta.recipes.recipe import Options
from medimeta.recipes.refusal import refuse_misfits
from medimeta.sources.find import find_original
from medimeta.synthetic import derm7pt as synthetic

HEAD = "case_num,diagnosis,seven_point_score,pigment_network,streaks,pigmentation,regression_structures,"
HEAD += "dots_and_globules,blue_whitish_veil,vascular_structures,sex,clinic,derm,notes"
NEVUS = "clark nevus,2,typical,absent,diffuse regular,absent,irregular,absent,comma,female"
MELANOMA = (
    "melanoma (less than 0.76 mm),5,atypical,irregular,localized irregular,blue areas,regular,present,dotted,male"
)


def table(*lines, head=HEAD):
    return "".join(f"{line}\r\n" for line in (head, *lines)).encode()


def indexes(*values):
    return table(*values, head="indexes")


def tree():
    """A small original; images are empty, as a listing does not read them. Cases do not stand in their order."""
    files = {
        "meta/meta.csv": table(
            f"3,{NEVUS},NAL/Nal003.jpg,NAL/Nam003.jpg,",
            f'1,{MELANOMA},NEL/NEL001.JPG,NEL/NEM001.jpg,"two, one shown"',
            f"4,{NEVUS},NEL/NEL004.jpg,NEL/NEM004.jpg,",
            f"2,{NEVUS},NEL/NEL002.jpg,NEL/NEM002.jpg,",
        ),
        "meta/train_indexes.csv": indexes("3", "2"),
        "meta/valid_indexes.csv": indexes("0"),
        "meta/test_indexes.csv": indexes("1"),
    }
    names = ("NAL/Nal003.jpg", "NEL/NEL001.JPG", "NEL/NEL004.jpg", "NEL/NEL002.jpg")
    names += ("NAL/Nam003.jpg", "NEL/NEM001.jpg", "NEL/NEM004.jpg", "NEL/NEM002.jpg")
    return files | {f"images/{name}": b"" for name in names}


@pytest.fixture
def listed(tmp_path):
    """List the images of a download that holds these files."""

    def listed(files, **options):
        archive = tmp_path / "release_v0.zip"
        with zipfile.ZipFile(archive, "w") as file:
            for name, data in files.items():
                file.writestr(f"release_v0/{name}", data)
        return listing(archive, **options)

    return listed


def listing(path, *, allow_partial=False):
    source = find_original(path, RECIPE.original, allow_partial=allow_partial)
    found = RECIPE.listing(source, Options(allow_partial=allow_partial))
    refuse_misfits(found, str(path), allow_partial=True)
    return found


def paths(found, dataset="skinl_photo"):
    return [sample.original_filepath for sample in found.samples[dataset]]


def changed(old, new):
    files = tree()
    assert old in files["meta/meta.csv"]
    files["meta/meta.csv"] = files["meta/meta.csv"].replace(old, new)
    return files


def test_both_datasets_are_in_the_order_of_the_rows(listed):
    found = listed(tree())
    assert paths(found, "skinl_photo") == [
        "release_v0/images/NAL/Nal003.jpg",
        "release_v0/images/NEL/NEL001.JPG",
        "release_v0/images/NEL/NEL004.jpg",
        "release_v0/images/NEL/NEL002.jpg",
    ]
    assert paths(found, "skinl_derm") == [
        "release_v0/images/NAL/Nam003.jpg",
        "release_v0/images/NEL/NEM001.jpg",
        "release_v0/images/NEL/NEM004.jpg",
        "release_v0/images/NEL/NEM002.jpg",
    ]
    assert (found.missing, found.unnamed, found.dropped) == ([], [], {})


def test_indexes_count_from_0_and_cases_from_1_whatever_the_order_of_rows(listed):
    for samples in listed(tree()).samples.values():
        splits = ["train", "val", "train", "test"]
        assert [sample.original_split for sample in samples] == splits
        assert RECIPE.splits("skinl_photo", samples) == splits


def test_labels_are_the_words_of_the_table_with_kinds_of_melanoma_merged(listed):
    photo, derm = listed(tree()).samples.values()
    assert [sample.labels for sample in photo] == [sample.labels for sample in derm]
    assert photo[0].labels == {
        "Diagnosis": "clark nevus",
        "Diagnosis grouped": "nevus",
        "Pigment Network": "typical",
        "Blue Whitish Veil": "absent",
        "Vascular Structures": "comma",
        "Vascular Structures grouped": "regular",
        "Pigmentation": "diffuse regular",
        "Pigmentation grouped": "regular",
        "Streaks": "absent",
        "Dots and Globules": "irregular",
        "Regression Structures": "absent",
        "Regression Structures grouped": "absent",
    }
    assert photo[1].labels == {
        "Diagnosis": "melanoma",
        "Diagnosis grouped": "melanoma",
        "Pigment Network": "atypical",
        "Blue Whitish Veil": "present",
        "Vascular Structures": "dotted",
        "Vascular Structures grouped": "irregular",
        "Pigmentation": "localized irregular",
        "Pigmentation grouped": "irregular",
        "Streaks": "irregular",
        "Dots and Globules": "regular",
        "Regression Structures": "blue areas",
        "Regression Structures grouped": "present",
    }


@pytest.mark.parametrize(
    ("diagnosis", "label", "group"),
    [
        *((kind, "melanoma", "melanoma") for kind in synthetic.MELANOMAS),
        ("Melanoma  (In Situ)", "melanoma", "melanoma"),
        ("melanosis", "melanosis", "miscellaneous"),
        ("basal cell carcinoma", "basal cell carcinoma", "basal cell carcinoma"),
        ("seborrheic keratosis", "seborrheic keratosis", "seborrheic keratosis"),
        *((kind, kind, "nevus") for kind in ("blue nevus", "combined nevus", "reed or spitz nevus", "recurrent nevus")),
        *((kind, kind, "miscellaneous") for kind in ("dermatofibroma", "lentigo", "miscellaneous", "vascular lesion")),
        ("halo nevus", "halo nevus", "halo nevus"),  # left to the card, which does not know it
    ],
)
def test_diagnoses_are_merged_and_grouped(listed, diagnosis, label, group):
    labels = listed(changed(b"clark nevus", diagnosis.encode())).samples["skinl_derm"][0].labels
    assert (labels["Diagnosis"], labels["Diagnosis grouped"]) == (label, group)


@pytest.mark.parametrize("task", ["Diagnosis", "Vascular Structures", "Pigmentation", "Regression Structures"])
def test_every_label_has_a_group_on_the_card(listed, task):
    word = {"Diagnosis": b"clark nevus", "Vascular Structures": b"comma", "Pigmentation": b"diffuse regular"}
    known = mm.task(f"skinl_photo/{task} grouped").classes
    found = set()
    for label in mm.task(f"skinl_photo/{task}").classes:
        files = changed(word.get(task, b"blue areas"), label.encode())
        sample = listed(files).samples["skinl_photo"][1 if task == "Regression Structures" else 0]
        assert sample.labels[task] == label
        found.add(sample.labels[f"{task} grouped"])
    assert found == set(known)


def test_annotations_are_the_other_columns_and_the_diagnosis_as_it_stands(listed):
    for samples in listed(tree()).samples.values():
        assert samples[1].annotations == {
            "original_diagnosis": "melanoma (less than 0.76 mm)",
            "case_num": "1",
            "seven_point_score": "5",
            "sex": "male",
            "clinic": "NEL/NEL001.JPG",
            "derm": "NEL/NEM001.jpg",
            "notes": "two, one shown",
        }


@pytest.mark.parametrize(
    "cell",
    [b"NEL\\NEL001.JPG", b'"NEL/NEL001\n.JPG"', b" ./NEL/NEL001.JPG ", b"\\release_v0\\images\\NEL\\NEL001.JPG"],
    ids=["backslash", "newline", "blanks", "more folders"],
)
def test_paths_of_the_table_are_brought_into_the_form_of_the_release(listed, cell):
    found = listed(changed(b"NEL/NEL001.JPG", cell))
    assert paths(found)[1] == "release_v0/images/NEL/NEL001.JPG"
    assert (found.missing, found.unnamed) == ([], [])


@pytest.mark.parametrize("on_disk", ["NEL/NEL001.jpg", "nel/nel001.JPEG", "copy/NEL/NEL001.JPG"])
def test_files_are_found_whatever_case_extension_and_level(listed, on_disk):
    files = tree()
    files[f"images/{on_disk}"] = files.pop("images/NEL/NEL001.JPG")
    found = listed(files)
    assert found.samples["skinl_photo"][1].member == f"images/{on_disk}"
    assert paths(found)[1] == "release_v0/images/NEL/NEL001.JPG"
    assert (found.missing, found.unnamed) == ([], [])


def test_of_two_files_that_end_alike_the_one_with_the_whole_path_is_taken(listed):
    found = listed(tree() | {"images/a/NEL/NEL001.JPG": b"", "images/z/NEL/NEL001.JPG": b""})
    assert found.samples["skinl_photo"][1].member == "images/NEL/NEL001.JPG"
    assert len(found.unnamed) == 2


def test_a_byte_order_mark_and_capitals_in_folders_and_columns_do_not_matter(listed):
    expected = listed(tree()).samples
    files = changed(b"case_num", b"\xef\xbb\xbfCase_Num")
    files = {name.replace("images/", "Images/").replace("meta/", "META/"): data for name, data in files.items()}
    found = listed(files).samples
    assert [sample.annotations for sample in found["skinl_derm"]] == [
        sample.annotations for sample in expected["skinl_derm"]
    ]


def test_what_is_on_one_side_alone_is_told(listed):
    files = tree() | {"meta/test_indexes.csv": indexes("1", "17")}
    files["images/NEL/other.jpg"] = files.pop("images/NEL/NEL002.jpg")
    found = listed(files)
    assert [len(samples) for samples in found.samples.values()] == [3, 4]
    assert [line.partition("meta/")[2] for line in found.missing] == [
        "test_indexes.csv, line 3: case 18 is not in meta.csv",
        "meta.csv, line 5: NEL/NEL002.jpg is missing",
    ]
    assert [line.partition("images/")[2] for line in found.unnamed] == ["NEL/other.jpg: is not in meta.csv"]


def test_everything_that_is_wrong_with_the_tables_is_told_at_once(listed):
    files = changed(b"4,clark nevus", b"four,") | {
        "meta/valid_indexes.csv": indexes("0", "-1"),
        "meta/test_indexes.csv": indexes("2"),
    }
    with pytest.raises(TableError) as error:
        listed(files)
    folder = error.value.problems[0].partition("valid_indexes")[0]
    assert [problem.replace(folder, "") for problem in error.value.problems] == [
        "valid_indexes.csv, line 3: indexes is '-1'; expected a whole number from 0",
        "test_indexes.csv, line 2: index 2 is already in train_indexes.csv, line 3",
        "meta.csv, line 4: has no diagnosis",
        "meta.csv, line 4: case_num is 'four'; expected a whole number",
        "meta.csv, line 5: case 2 is in none of train_indexes.csv, valid_indexes.csv, test_indexes.csv",
    ]


def test_an_index_file_may_be_absent_from_a_part_of_the_original_only(listed):
    files = {name: data for name, data in tree().items() if "valid" not in name}
    with pytest.raises(SourceNotFoundError, match="meta: has no valid_indexes.csv. Fetch the archive again"):
        listed(files)
    found = listed(files, allow_partial=True)
    assert [sample.original_split for sample in found.samples["skinl_photo"]] == ["train", "train", "test"]
    assert {name: len(rows) for name, rows in found.dropped.items()} == {"skinl_photo": 1, "skinl_derm": 1}
    assert found.dropped["skinl_photo"][0].endswith("meta.csv, line 3: case 1 is in no index file")
    assert found.unnamed == []


@pytest.mark.parametrize("kept", ["meta.csv", "indexes.csv"])
def test_cases_and_at_least_one_index_file_are_always_needed(listed, kept):
    files = {name: data for name, data in tree().items() if not name.startswith("meta") or name.endswith(kept)}
    with pytest.raises(SourceNotFoundError, match="meta: has no (meta|train_indexes).csv"):
        listed(files, allow_partial=True)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The synthetic original, as an archive."""
    [path] = synthetic.write(tmp_path_factory.mktemp("original"), 5, 0)
    return path


def test_the_synthetic_original_has_every_quirk(original):
    found = listing(original)
    assert (found.missing, found.unnamed, found.dropped) == ([], [], {})
    for dataset, samples in found.samples.items():
        assert Counter(sample.original_split for sample in samples) == {"train": 45, "val": 15, "test": 15}
        assert {sample.original_filepath[-4:] for sample in samples} == {".jpg", ".JPG"}
        for task in mm.dataset(dataset).tasks:
            assert {sample.labels[task.name] for sample in samples} == set(task.classes)
    assert (
        len({sample.annotations["original_diagnosis"] for sample in samples if "melan" in sample.labels["Diagnosis"]})
        == 6
    )
    source = find_original(original, RECIPE.original)
    meta = source.read("meta/meta.csv")
    assert meta.startswith(b"\xef\xbb\xbfcase_num")
    assert b"NLL\\Nll002.JPG" in meta
    assert b'.JPG\n"' in meta
    assert b"\r\n0\r\n" in source.read("meta/train_indexes.csv")
    assert any(sample.annotations["derm"] not in sample.member for sample in found.samples["skinl_derm"])


@pytest.mark.parametrize("form", ["folder", "tree itself", "one level higher", "one level lower", "in a folder"])
def test_every_form_of_the_original_lists_the_same(original, tmp_path, form):
    expected = listing(original).samples
    shutil.unpack_archive(original, tmp_path / "here")
    tree = tmp_path / "here" / "release_v0"
    if form == "one level higher":
        path = shutil.make_archive(tmp_path / "packed", "zip", tmp_path, "here")
    elif form == "one level lower":
        path = shutil.make_archive(tmp_path / "packed", "zip", tree)
    elif form == "in a folder":
        path = original.parent
    else:
        path = tree if form == "tree itself" else tmp_path / "here"
    assert listing(path).samples == expected


def test_pixels_are_padded_then_shrunk_or_enlarged(original):
    source = find_original(original, RECIPE.original)
    samples = listing(original).samples["skinl_derm"][::9]
    rendered = list(RECIPE.render_all(source, samples, Options()))
    assert {image.enlarged for image in rendered} == {True, False}
    for sample, image in zip(samples, rendered, strict=True):
        whole = Image.open(io.BytesIO(source.read(sample.member)))
        side = max(whole.size)
        square = ImageOps.pad(whole, (side, side), method=Image.Resampling.BICUBIC, color=0)
        if side < 224:
            square = square.resize((224, 224), Image.Resampling.BICUBIC)
        else:
            square.thumbnail((224, 224), Image.Resampling.BICUBIC)
        assert np.array_equal(image.pixels, np.asarray(square))
