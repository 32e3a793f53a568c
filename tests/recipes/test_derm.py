"""What the recipe of derm makes of the challenge's seven downloads as people have them."""

import io
import shutil
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import medimeta as mm
from medimeta.building.plan import encode_labels
from medimeta.catalogue.schema import SPLITS
from medimeta.errors import SourceNotFoundError, TableError
from medimeta.recipes.derm import DIAGNOSES, DOWNLOADS, LESIONS, RECIPE
from medimeta.recipes.recipe import Options
from medimeta.recipes.refusal import refuse_misfits
from medimeta.sources.find import find_original
from medimeta.sources.folder import FolderArchive
from medimeta.synthetic.derm import write

HEAD = ",".join(("image", *DIAGNOSES)) + "\n"
TRAINING, VALIDATION, TEST = DOWNLOADS.values()


def row(image, place):
    return ",".join([image, *("1.0" if other == place else "0.0" for other in range(7))]) + "\n"


def listing_of(path, **options):
    source = find_original(path, RECIPE.original, ["derm"], **options)
    listing = RECIPE.listing(source, Options(**options))
    refuse_misfits(listing, str(path), allow_partial=True)
    return listing


def facts(listing):
    """Return what must be the same for every form of one original."""
    assert not listing.missing + listing.unnamed
    return [(s.original_filepath, s.labels, s.annotations, s.original_split) for s in listing.samples["derm"]]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("derm")
    write(folder, 5, 0)
    return folder


@pytest.fixture
def tree(tmp_path):
    """Write the extracted downloads with two empty images in each, and return their folder; change it at will."""
    top = tmp_path / "download"
    for number, name in enumerate(DOWNLOADS.values()):
        (top / f"{name}_Input").mkdir(parents=True)
        (top / f"{name}_GroundTruth").mkdir()
        images = [f"ISIC_00000{number}{other}" for other in (2, 1)]
        for image in images:
            (top / f"{name}_Input" / f"{image}.jpg").write_bytes(b"")
        table = HEAD + row(images[0], 6) + row(images[1], number)
        (top / f"{name}_GroundTruth" / f"{name}_GroundTruth.csv").write_text(table)
    (top / f"{LESIONS}.csv").write_text("image,lesion_id,Diagnosis Confirm Type\nISIC_0000001,HAM_1,histo\n")
    return top


def test_order_is_that_of_the_rows_of_training_validation_and_test(tree):
    samples = listing_of(tree).samples["derm"]
    assert [(sample.original_filepath, sample.original_split) for sample in samples] == [
        ("ISIC2018_Task3_Training_Input/ISIC_0000002.jpg", "train"),
        ("ISIC2018_Task3_Training_Input/ISIC_0000001.jpg", "train"),
        ("ISIC2018_Task3_Validation_Input/ISIC_0000012.jpg", "val"),
        ("ISIC2018_Task3_Validation_Input/ISIC_0000011.jpg", "val"),
        ("ISIC2018_Task3_Test_Input/ISIC_0000022.jpg", "test"),
        ("ISIC2018_Task3_Test_Input/ISIC_0000021.jpg", "test"),
    ]
    assert RECIPE.splits("derm", samples) == ["train", "train", "val", "val", "test", "test"]


def test_the_label_is_the_place_of_the_column_that_is_1_by_its_name(tree):
    source = find_original(tree, RECIPE.original)
    samples = RECIPE.listing(source, Options()).samples["derm"]
    assert encode_labels(mm.dataset("derm"), samples, source)["disease category"].tolist() == [6, 0, 6, 1, 6, 2]
    table = tree / f"{TEST}_GroundTruth" / f"{TEST}_GroundTruth.csv"
    table.write_text("image,VASC,DF,BKL,AKIEC,BCC,NV,MEL\n" + row("ISIC_0000021", 0) + row("ISIC_0000022", 5))
    assert [sample.labels for sample in listing_of(tree).samples["derm"]][4:] == [
        {"disease category": 6},
        {"disease category": 1},
    ]
    assert mm.task("derm/disease category").classes[1] == "Melanocytic nevus"


def test_the_lesion_is_kept_where_the_groupings_name_the_image_and_empty_elsewhere(tree):
    annotations = [sample.annotations for sample in listing_of(tree).samples["derm"]]
    none = {"lesion_id": "", "diagnosis_confirm_type": ""}
    assert annotations == [none, {"lesion_id": "HAM_1", "diagnosis_confirm_type": "histo"}, none, none, none, none]


def test_without_groupings_a_build_needs_leave_and_has_no_lesions(tree):
    (tree / f"{LESIONS}.csv").unlink()
    with pytest.raises(SourceNotFoundError, match="isic2018_task3_training_lesiongroupings.csv$"):
        listing_of(tree)
    listing = listing_of(tree, allow_partial=True)
    assert [sample.annotations for sample in listing.samples["derm"]] == [{"lesion_id": ""}] * 6
    assert listing.missing == listing.unnamed == []


def test_case_of_files_the_texts_among_them_and_leftovers_do_no_harm(tree):
    folder = tree / f"{TRAINING}_Input"
    (folder / "ISIC_0000001.jpg").rename(folder / "isic_0000001.JPG")
    for name in ("ATTRIBUTION.txt", "LICENSE.txt", "Thumbs.db", "._ISIC_0000001.jpg"):
        (folder / name).write_bytes(b"")
    folder.rename(tree / f"{TRAINING}_INPUT")
    table = tree / f"{VALIDATION}_GroundTruth" / f"{VALIDATION}_GroundTruth.csv"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n").replace(b"1.0", b"1"))
    table.rename(table.with_suffix(".CSV"))
    listing = listing_of(tree)
    assert len(facts(listing)) == 6
    second = listing.samples["derm"][1]
    assert second.member == f"{TRAINING}_Input/isic_0000001.JPG"
    assert second.original_filepath == f"{TRAINING}_Input/ISIC_0000001.jpg"
    assert second.annotations["lesion_id"] == "HAM_1"


def test_rows_without_image_and_images_without_row_are_told_and_have_no_sample(tree):
    (tree / f"{TEST}_Input" / "ISIC_0000022.jpg").rename(tree / f"{TEST}_Input" / "ISIC_0000099.jpg")
    listing = listing_of(tree, allow_partial=True)
    assert len(listing.samples["derm"]) == 5
    [missing], [unnamed] = listing.missing, listing.unnamed
    assert missing.endswith(f"{TEST}_GroundTruth.csv, line 2: ISIC_0000022.jpg is missing")
    assert unnamed.endswith("ISIC_0000099.jpg: is not named in any table")


def test_an_image_of_another_split_does_not_stand_in(tree):
    (tree / f"{TEST}_Input" / "ISIC_0000022.jpg").rename(tree / f"{TRAINING}_Input" / "ISIC_0000022.jpg")
    listing = listing_of(tree, allow_partial=True)
    assert len(listing.samples["derm"]) == 5
    assert len(listing.missing) == len(listing.unnamed) == 1


def test_rows_that_are_not_one_hot_are_told_at_once_from_all_tables(tree):
    for name, cells in (
        (TRAINING, "1.0,1.0,0.0,0.0,0.0,0.0,0.0"),
        (TEST, "0,0,0,0,0,0,0"),
        (VALIDATION, "x,1,0,0,0,0,0"),
    ):
        table = tree / f"{name}_GroundTruth" / f"{name}_GroundTruth.csv"
        table.write_text(table.read_text() + f"ISIC_0000099,{cells}\n")
    with pytest.raises(TableError) as caught:
        listing_of(tree)
    assert [problem.partition("GroundTruth.csv, ")[2] for problem in caught.value.problems] == [
        f"line 4: expected 1 in one of MEL, NV, BCC, AKIEC, BKL, DF, VASC and else 0, got {got}"
        for got in ("1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0", "x, 1, 0, 0, 0, 0, 0", "0, 0, 0, 0, 0, 0, 0")
    ]


def test_a_row_that_is_named_twice_is_refused(tree):
    table = tree / f"{TEST}_GroundTruth" / f"{TEST}_GroundTruth.csv"
    table.write_text(table.read_text() + row("ISIC_0000021", 4))
    with pytest.raises(TableError, match="line 4: image ISIC_0000021 is already in line 3"):
        listing_of(tree)


def test_all_forms_of_the_downloads_list_the_same_samples(original, tmp_path):
    expected = facts(listing_of(original))
    assert len(expected) == 5 * len(DIAGNOSES)
    extracted = tmp_path / "extracted"
    for archive in original.glob("*.zip"):
        shutil.unpack_archive(archive, extracted)
    shutil.copy(original / f"{LESIONS}.csv", extracted)
    assert facts(listing_of(extracted)) == expected
    assert facts(listing_of(shutil.make_archive(str(tmp_path / "all"), "zip", extracted))) == expected
    shutil.copytree(extracted, tmp_path / "higher" / "isic" / "2018", ignore=shutil.ignore_patterns("__MACOSX"))
    assert facts(listing_of(tmp_path / "higher")) == expected
    with zipfile.ZipFile(tmp_path / "zips.zip", "w") as outer:
        for file in original.iterdir():
            outer.write(file, f"ISIC 2018/{file.name}")
    assert facts(listing_of(tmp_path / "zips.zip")) == expected


def test_archives_without_their_folder_and_folders_within_their_like_are_found(original, tmp_path):
    expected = facts(listing_of(original))
    for archive in original.glob("*.zip"):
        shutil.unpack_archive(archive, tmp_path / "extracted" / archive.stem)  # a folder of the name in one of the name
        inner = tmp_path / "extracted" / archive.stem / archive.stem
        (tmp_path / "lower").mkdir(exist_ok=True)
        shutil.make_archive(str(tmp_path / "lower" / archive.stem), "zip", inner)
    for folder in ("extracted", "lower"):
        shutil.copy(original / f"{LESIONS}.csv", tmp_path / folder)
        assert facts(listing_of(tmp_path / folder)) == expected, folder


def test_tables_may_lie_loose_beside_the_images(tree):
    expected = facts(listing_of(tree))
    for name in DOWNLOADS.values():
        (tree / f"{name}_GroundTruth" / f"{name}_GroundTruth.csv").rename(tree / f"{name}_GroundTruth.csv")
        (tree / f"{name}_GroundTruth").rmdir()
    assert facts(listing_of(tree)) == expected


def test_whole_splits_may_be_absent_with_leave_alone(tree):
    shutil.rmtree(tree / f"{TRAINING}_Input")
    shutil.rmtree(tree / f"{TRAINING}_GroundTruth")
    shutil.rmtree(tree / f"{VALIDATION}_GroundTruth")
    with pytest.raises(SourceNotFoundError) as caught:
        listing_of(tree)
    for name in (f"{TRAINING}_Input.zip", f"{TRAINING}_GroundTruth.zip", f"{VALIDATION}_GroundTruth.zip"):
        assert f"the archive {name}" in str(caught.value)
    listing = listing_of(tree, allow_partial=True)
    assert [sample.original_split for sample in listing.samples["derm"]] == ["test", "test"]
    assert listing.missing == []
    assert len(listing.unnamed) == 2
    shutil.rmtree(tree / f"{TEST}_GroundTruth")
    with pytest.raises(SourceNotFoundError, match="label tables of derm are missing"):
        listing_of(tree, allow_partial=True)


def test_a_table_that_is_missing_is_named_even_where_nobody_looked_for_parts(tree):
    with pytest.raises(SourceNotFoundError, match=f"derm are missing:\n  - {TEST}_GroundTruth.csv$"):
        RECIPE.listing(FolderArchive(without(tree, f"{TEST}_GroundTruth")), Options())


def without(tree, folder):
    shutil.rmtree(tree / folder)
    return tree


def test_the_real_numbers_of_rows_give_the_counts_of_the_release(tmp_path):
    rows = {"train": 10_015, "val": 193, "test": 1_512}
    with zipfile.ZipFile(tmp_path / "derm.zip", "w") as file:
        file.writestr(f"{LESIONS}.csv", "image,lesion_id,diagnosis_confirm_type\n")
        for split, count in rows.items():
            images = [f"ISIC_{number:07d}" for number in range(count)]
            name = DOWNLOADS[split]
            file.writestr(
                f"{name}_GroundTruth/{name}_GroundTruth.csv", HEAD + "".join(row(image, 1) for image in images)
            )
            for image in images:
                file.writestr(f"{name}_Input/{image}.jpg", b"")
    listing = listing_of(tmp_path)
    assert listing.missing == listing.unnamed == []
    splits = Counter(RECIPE.splits("derm", listing.samples["derm"]))
    assert splits == {split: mm.dataset("derm").samples.of(split) for split in SPLITS} == rows


@pytest.mark.parametrize("size", [224, 32])  # at 32, a thumbnail is made in two steps
def test_pixels_are_the_thumbnail_of_the_centred_square(original, size):
    source = find_original(original, RECIPE.original)
    samples = RECIPE.listing(source, Options()).samples["derm"][:6]
    enlarged = []
    for sample, rendered in zip(samples, RECIPE.render_all(source, samples, Options(size=size)), strict=True):
        with Image.open(io.BytesIO(source.read(sample.member))) as image:
            side, left, top = image.height, (image.width - image.height) // 2, 0
            square = image.crop((left, top, left + side, top + side))
        if side < size:
            square = square.resize((size, size), Image.Resampling.BICUBIC)
        else:
            square.thumbnail((size, size), Image.Resampling.BICUBIC)
        assert np.array_equal(rendered.pixels, np.asarray(square))
        assert rendered.enlarged == (side < size)
        enlarged.append(rendered.enlarged)
    assert enlarged == [size == 224, False, False, False, False, False]


def test_the_synthetic_original_has_every_class_in_every_split(original):
    samples = listing_of(original).samples["derm"]
    found = {(sample.original_split, sample.labels["disease category"]) for sample in samples}
    assert found == {(split, place) for split in SPLITS for place in range(7)}
    lesions = Counter(s.annotations["lesion_id"] for s in samples if s.original_split == "train")
    assert max(lesions.values()) == 2
    assert {sample.annotations["lesion_id"] for sample in samples if sample.original_split != "train"} == {""}
