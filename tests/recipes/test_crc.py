"""What the recipe of crc makes of its two archives as people have them."""

import io
import shutil
import warnings
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import medimeta as mm
from medimeta.building.plan import encode_labels
from medimeta.catalogue.schema import SPLITS
from medimeta.errors import LabelError, SourceNotFoundError
from medimeta.recipes.crc import CODES, RECIPE
from medimeta.recipes.recipe import Options, Sample
from medimeta.sources.find import find_original
from medimeta.synthetic.crc import write

LARGE, SMALL = "NCT-CRC-HE-100K", "CRC-VAL-HE-7K"


def samples_of(path, **options):
    source = find_original(path, RECIPE.original, ["crc"], **options)
    return RECIPE.listing(source, Options(**options)).samples["crc"]


def facts(samples):
    """Return what must be the same for every form of one original."""
    return [(s.original_filepath, s.labels, s.original_split) for s in samples]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crc")
    write(folder, 5, 0)
    return folder


@pytest.fixture
def tree(tmp_path):
    """Write both trees with an empty image in every folder; `more` are further files."""

    def make(*more, folders=CODES):
        top = tmp_path / "download"
        names = [f"{archive}/{code}/{code}-A.tif" for archive in (LARGE, SMALL) for code in folders]
        for name in (*names, *more):
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            (top / name).write_bytes(b"")
        return top

    return make


def test_order_is_the_large_archive_first_then_folders_then_names_as_plain_strings(tree):
    more = (f"{LARGE}/ADI/ADI-B10.tif", f"{LARGE}/ADI/ADI-B9.tif", f"{LARGE}/ADI/ADI-a.tif", f"{LARGE}/MUC/MUC-0.tif")
    found = [sample.original_filepath for sample in samples_of(tree(*more))]
    assert found[:5] == [f"{LARGE}/ADI/ADI-{name}.tif" for name in ("A", "B10", "B9", "a")] + [
        f"{LARGE}/BACK/BACK-A.tif"
    ]
    assert found[7:9] == [f"{LARGE}/MUC/MUC-0.tif", f"{LARGE}/MUC/MUC-A.tif"]
    assert found[13:] == [f"{SMALL}/{code}/{code}-A.tif" for code in CODES]


def test_labels_and_splits_of_the_source_follow_folder_and_archive(tree):
    samples = samples_of(tree())
    labels = mm.task("crc/tissue class").classes
    assert [sample.labels["tissue class"] for sample in samples] == [*labels, *labels]
    assert [sample.original_split for sample in samples] == ["train"] * 9 + ["val"] * 9


def test_the_small_archive_is_test_and_the_large_one_train_and_val_with_the_counts_of_the_release():
    samples = [
        Sample("", "", {}, original_split=split) for split, n in (("train", 100_000), ("val", 7_180)) for _ in range(n)
    ]
    splits = RECIPE.splits("crc", samples)
    assert set(splits[100_000:]) == {"test"}
    assert Counter(splits) == {split: mm.dataset("crc").samples.of(split) for split in SPLITS}


def test_case_of_folders_and_extensions_hidden_files_and_leftovers_do_no_harm(tree):
    top = tree(
        f"{LARGE}/ADI/Thumbs.db", f"{LARGE}/ADI/._ADI-A.tif", f"{LARGE}/ADI/.ADI-A.tif", f"{LARGE}/ADI/notes.txt"
    )
    (top / LARGE / "BACK").rename(top / LARGE / "back")
    (top / LARGE / "ADI" / "ADI-A.tif").rename(top / LARGE / "ADI" / "ADI-A.TIF")
    first, second, third, *_ = samples = samples_of(top)
    assert len(samples) == 18
    assert first.original_filepath == f"{LARGE}/ADI/ADI-A.TIF"
    assert (second.member, second.original_filepath) == (f"{LARGE}/back/BACK-A.tif", f"{LARGE}/BACK/BACK-A.tif")
    assert second.labels == {"tissue class": "background (BACK)"}
    assert third.original_filepath == f"{LARGE}/DEB/DEB-A.tif"


def test_a_folder_that_is_no_class_is_left_for_the_engine_to_refuse(tree):
    source = find_original(tree(f"{LARGE}/XYZ/XYZ-A.tif"), RECIPE.original)
    samples = RECIPE.listing(source, Options()).samples["crc"]
    with pytest.raises(LabelError, match=r"XYZ/XYZ-A.tif: tissue class: unknown label 'XYZ'"):
        encode_labels(mm.dataset("crc"), samples, source)


def zip_of(path, folder):
    return shutil.make_archive(str(path), "zip", folder)


def test_all_forms_of_the_download_list_the_same_samples(original, tmp_path):
    expected = facts(samples_of(original))
    assert len(expected) == 5 * len(CODES)
    for archive in original.iterdir():
        shutil.unpack_archive(archive, tmp_path / "extracted")
    extracted = tmp_path / "extracted"
    assert facts(samples_of(extracted)) == expected
    assert facts(samples_of(zip_of(tmp_path / "both", extracted))) == expected
    higher = tmp_path / "higher"
    for name in (LARGE, SMALL):
        shutil.copytree(extracted / name, higher / "data" / "mine" / name)
        (tmp_path / "lower").mkdir(exist_ok=True)
        zip_of(tmp_path / "lower" / name, extracted / name)  # its folders at the root: the archive's name tells which
    assert facts(samples_of(higher)) == expected
    assert facts(samples_of(tmp_path / "lower")) == expected
    with zipfile.ZipFile(tmp_path / "zips.zip", "w") as outer:
        for archive in original.iterdir():
            outer.write(archive, archive.name)
    assert facts(samples_of(tmp_path / "zips.zip")) == expected


def test_one_archive_alone_needs_leave_and_the_missing_one_is_named(original, tmp_path):
    shutil.copy(original / f"{SMALL}.zip", tmp_path)
    with pytest.raises(SourceNotFoundError, match=r"the archive NCT-CRC-HE-100K\.zip or the folder NCT-CRC-HE-100K"):
        samples_of(tmp_path)
    samples = samples_of(tmp_path, allow_partial=True)
    assert {sample.original_split for sample in samples} == {"val"}
    assert set(RECIPE.splits("crc", samples)) == {"test"}


def test_the_archive_without_colour_normalisation_is_not_taken_for_the_normalised_one(tree):
    top = tree()
    (top / LARGE).rename(top / f"{LARGE}-NONORM")
    with pytest.raises(SourceNotFoundError, match=r"NCT-CRC-HE-100K\.zip"):
        samples_of(top)


def test_images_are_stored_unchanged_whatever_their_tags_say(original):
    source = find_original(original, RECIPE.original)
    samples = RECIPE.listing(source, Options()).samples["crc"][::9]
    for sample, rendered in zip(samples, RECIPE.render_all(source, samples, Options()), strict=True):
        data = source.read(sample.member)
        stored = np.frombuffer(data, np.uint8, 224 * 224 * 3, pixel_start(data)).reshape(224, 224, 3)
        assert np.array_equal(rendered.pixels, stored)
        assert not rendered.enlarged
        assert rendered.converted_from is None
        with pytest.warns(UserWarning, match="Possibly corrupt|Truncated|Tag|type"):
            Image.open(io.BytesIO(data)).load()


def pixel_start(data):
    """Return where the pixels of an uncompressed TIFF file of one strip start."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [start] = Image.open(io.BytesIO(data)).tag_v2[273]
    return start


@pytest.mark.parametrize("size", [32, 256])  # at 32, a thumbnail is made in two steps
def test_other_sizes_follow_the_thumbnail_rule(original, size):
    source = find_original(original, RECIPE.original)
    [sample] = RECIPE.listing(source, Options()).samples["crc"][:1]
    rendered = RECIPE.render(source, sample, Options(size=size))
    image = Image.fromarray(RECIPE.render(source, sample, Options()).pixels)
    if size > 224:
        image = image.resize((size, size), Image.Resampling.BICUBIC)
    else:
        image.thumbnail((size, size), Image.Resampling.BICUBIC)
    assert np.array_equal(rendered.pixels, np.asarray(image))
    assert rendered.enlarged == (size > 224)


def test_the_synthetic_original_fills_every_split_and_class(original):
    samples = samples_of(original)
    splits = RECIPE.splits("crc", samples)
    assert set(splits) == set(SPLITS)
    assert Counter(sample.labels["tissue class"] for sample in samples) == dict.fromkeys(mm.task("crc").classes, 5)
    of_test = {sample.labels["tissue class"] for sample, split in zip(samples, splits, strict=True) if split == "test"}
    assert of_test == set(mm.task("crc").classes)
