"""What the recipe of aml makes of tables and trees as people have them."""

import hashlib
import io
import json
import shutil
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import medimeta as mm
from medimeta.building.plan import encode_labels
from medimeta.catalogue.schema import SPLITS
from medimeta.errors import LabelError, SourceNotFoundError, TableError
from medimeta.recipes.aml import RECIPE
from medimeta.recipes.recipe import Options
from medimeta.recipes.refusal import refuse_misfits
from medimeta.sources.find import find_original
from medimeta.sources.zipped import ZipArchive
from medimeta.synthetic.aml import CODES, write

TABLE = "annotations.dat"


def listing_of(path, **options):
    listing = RECIPE.listing(find_original(path, RECIPE.original, ["aml"]), Options(**options))
    refuse_misfits(listing, str(path), allow_partial=True)
    return listing


def paths(listing):
    return [sample.original_filepath for sample in listing.samples["aml"]]


def facts(listing):
    """Return what must be the same for every form of one original."""
    samples = listing.samples["aml"]
    assert not listing.missing + listing.unnamed
    return [(s.original_filepath, s.labels, s.annotations, s.original_split) for s in samples]


@pytest.fixture
def tree(tmp_path):
    """Write a table and empty images below AML-Cytomorphology/, and return the folder that holds both."""

    def make(table, *images):
        top = tmp_path / "download"
        for image in images:
            path = top / "AML-Cytomorphology" / image
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        top.mkdir(exist_ok=True)
        (top / TABLE).write_bytes(table if isinstance(table, bytes) else table.encode())
        return top

    return make


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    [path] = write(tmp_path_factory.mktemp("aml"), 5, 0)
    return path


def test_samples_follow_the_lines_of_the_label_file_not_the_names(tree):
    top = tree(
        "MYO/MYO_0002.tiff MYO nan nan\nBAS/BAS_0001.tiff BAS nan nan\nMYO/MYO_0001.tiff MYO nan nan\n",
        "BAS/BAS_0001.tiff",
        "MYO/MYO_0001.tiff",
        "MYO/MYO_0002.tiff",
    )
    assert paths(listing_of(top)) == ["MYO/MYO_0002.tiff", "BAS/BAS_0001.tiff", "MYO/MYO_0001.tiff"]


def test_the_label_is_the_code_of_the_folder_and_readings_are_kept_beside_it(tree):
    top = tree(
        "NGB/NGB_0001.tiff NGS MON nan\nPMB/PMB_0001.tiff PMB nan nan\n", "NGB/NGB_0001.tiff", "PMB/PMB_0001.tiff"
    )
    first, second = listing_of(top).samples["aml"]
    assert first.labels == {"morphological class": "NGB Neutrophil (band)"}
    assert first.annotations == {"annotation": "NGS", "first_reannotation": "MON", "second_reannotation": ""}
    assert second.labels == {"morphological class": "PMB Promyelocyte (bilobled)"}
    assert second.annotations == {"annotation": "PMB", "first_reannotation": "", "second_reannotation": ""}
    assert {first.original_split, second.original_split} == {"train"}


def test_what_spreadsheets_and_file_managers_do_to_table_and_names_does_no_harm(tree):
    table = (
        b"\xef\xbb\xbfBAS\\BAS_0001.tiff  BAS\tnan NaN\r\n\r\n"
        b"./AML-Cytomorphology/EBO/EBO_0001.tiff EBO nan nan\r\n EOS/EOS_0001.tiff EOS nan nan "
    )
    top = tree(
        table, "bas/bas_0001.TIFF", "EBO/EBO_0001.tif", "EOS/EOS_0001.tiff", "EOS/Thumbs.db", "EOS/._EOS_0001.tiff"
    )
    (top / TABLE).rename(top / "Annotations.DAT")
    listing = listing_of(top)
    assert paths(listing) == ["BAS/BAS_0001.tiff", "EBO/EBO_0001.tiff", "EOS/EOS_0001.tiff"]
    assert listing.samples["aml"][0].member == "AML-Cytomorphology/bas/bas_0001.TIFF"
    assert listing.samples["aml"][0].annotations["second_reannotation"] == ""
    assert listing.missing == listing.unnamed == []


def test_lines_without_image_and_images_without_line_are_told_and_have_no_sample(tree):
    top = tree(
        "BAS/BAS_0001.tiff BAS nan nan\nBAS/BAS_0002.tiff BAS nan nan\n", "BAS/BAS_0002.tiff", "EBO/EBO_0007.tiff"
    )
    listing = listing_of(top, allow_partial=True)
    assert paths(listing) == ["BAS/BAS_0002.tiff"]
    assert listing.missing == [f"{top}: {TABLE}, line 1: BAS/BAS_0001.tiff is missing"]
    assert listing.unnamed == [f"{top}: AML-Cytomorphology/EBO/EBO_0007.tiff: is not named in annotations.dat"]


def test_images_of_other_originals_below_the_same_folder_are_not_taken_for_this_ones(tree):
    top = tree("BAS/BAS_0001.tiff BAS nan nan\n", "BAS/BAS_0001.tiff")
    for other in (
        "NCT-CRC-HE-100K/ADI/ADI-AAAFLCLY.tif",
        "NCT-CRC-HE-100K/TUM/TUM_x1.tif",
        "bus/benign/benign (1).png",
    ):
        (top / other).parent.mkdir(parents=True, exist_ok=True)
        (top / other).write_bytes(b"")
    assert listing_of(top).unnamed == []


def test_every_line_that_cannot_be_used_is_told_at_once(tree):
    top = tree(
        "BAS/BAS_0001.tiff BAS nan nan\nBAS/BAS_0002.tiff BAS nan\nBAS_0003.tiff BAS nan nan\n"
        "BAS/BAS_0004 BAS nan nan\n\nBAS/BAS_0005.tiff BAS nan nan nan\nbas\\bas_0001.tiff BAS nan nan\n",
        "BAS/BAS_0001.tiff",
    )
    with pytest.raises(TableError) as caught:
        listing_of(top)
    expected = "expected CODE/CODE_NNNN.tiff and three readings, got"
    assert caught.value.problems == (
        f"{top}: {TABLE}, line 2: {expected} 'BAS/BAS_0002.tiff BAS nan'",
        f"{top}: {TABLE}, line 3: {expected} 'BAS_0003.tiff BAS nan nan'",
        f"{top}: {TABLE}, line 4: {expected} 'BAS/BAS_0004 BAS nan nan'",
        f"{top}: {TABLE}, line 6: {expected} 'BAS/BAS_0005.tiff BAS nan nan nan'",
        f"{top}: {TABLE}, line 7: bas/bas_0001.tiff is already in line 1",
    )


def test_a_code_that_is_no_class_is_left_for_the_engine_to_refuse(tree):
    top = tree("UNC/UNC_0001.tiff UNC nan nan\n", "UNC/UNC_0001.tiff")
    source = find_original(top, RECIPE.original)
    samples = RECIPE.listing(source, Options()).samples["aml"]
    with pytest.raises(LabelError, match=r"unknown label 'UNC'"):
        encode_labels(mm.dataset("aml"), samples, source)


def test_an_original_without_its_label_file_is_refused(tmp_path):
    (tmp_path / "AML-Cytomorphology" / "BAS").mkdir(parents=True)
    with pytest.raises(SourceNotFoundError, match=r"the archive AML-Cytomorphology_LMU.zip or annotations.dat\.$"):
        find_original(tmp_path, RECIPE.original, ["aml"], allow_partial=True)
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as file:
        file.writestr("AML-Cytomorphology/BAS/BAS_0001.tiff", b"")
    with pytest.raises(SourceNotFoundError, match="has no annotations.dat, the file that names the images"):
        RECIPE.listing(ZipArchive(tmp_path / "empty.zip"), Options(allow_partial=True))


def test_all_forms_of_the_download_list_the_same_samples(original, tmp_path):
    expected = facts(listing_of(original))
    assert len(expected) == 5 * len(CODES)
    shutil.unpack_archive(original, tmp_path / "extracted")
    tree = tmp_path / "extracted" / "AML-Cytomorphology_LMU"
    shutil.copytree(tree, tmp_path / "flat" / "some" / "copy")
    for form in (original.parent, tmp_path / "extracted", tree, tmp_path / "flat"):
        assert facts(listing_of(form)) == expected, form
    for name, base in (("at its root", tree), ("higher", tmp_path)):
        packed = shutil.make_archive(str(tmp_path / name), "zip", base if base == tree else tmp_path / "flat")
        assert facts(listing_of(packed)) == expected, name


def test_the_synthetic_original_has_every_class_and_fills_every_split(original):
    listing = listing_of(original)
    samples = listing.samples["aml"]
    assert Counter(sample.labels["morphological class"].split()[0] for sample in samples) == dict.fromkeys(CODES, 5)
    assert set(RECIPE.splits("aml", samples)) == set(SPLITS)
    readings = {sample.annotations["second_reannotation"] for sample in samples}
    assert {"", "UNC", "BAS"} <= readings


@pytest.mark.parametrize("size", [224, 32])  # at 32, a thumbnail is made in two steps
def test_pixels_are_the_thumbnail_of_the_image_without_its_alpha_channel(original, size):
    source = find_original(original, RECIPE.original)
    samples = {s.original_filepath: s for s in RECIPE.listing(source, Options()).samples["aml"]}
    chosen = [samples[f"BAS/BAS_000{number}.tiff"] for number in (1, 2, 3)]
    for sample, rendered in zip(chosen, RECIPE.render_all(source, chosen, Options(size=size)), strict=True):
        with Image.open(io.BytesIO(source.read(sample.member))) as image:
            assert image.mode == rendered.converted_from == "RGBA"
            assert rendered.enlarged == (image.width < size)
            colour = image.convert("RGB")
        if rendered.enlarged:
            colour = colour.resize((size, size), Image.Resampling.BICUBIC)
        else:
            colour.thumbnail((size, size), Image.Resampling.BICUBIC)
        assert np.array_equal(rendered.pixels, np.asarray(colour))
    assert [sample.original_filepath for sample in chosen if source.size(sample.member) > 400 * 400 * 4] == [
        "BAS/BAS_0001.tiff"
    ]


def test_the_real_label_file_gives_the_splits_and_counts_of_the_release(real_originals, tmp_path):
    table = (real_originals / "aml" / TABLE).read_bytes()
    with zipfile.ZipFile(tmp_path / "AML-Cytomorphology_LMU.zip", "w") as file:
        file.writestr(TABLE, table)
        for line in table.decode().splitlines():
            file.writestr(f"AML-Cytomorphology/{line.split()[0]}", b"")
    source = find_original(tmp_path, RECIPE.original)
    listing = RECIPE.listing(source, Options())
    samples = listing.samples["aml"]
    assert listing.missing == listing.unnamed == []
    assert paths(listing) == [line.split()[0] for line in table.decode().splitlines()]
    splits = RECIPE.splits("aml", samples)
    card = mm.dataset("aml")
    assert Counter(splits) == {split: card.samples.of(split) for split in SPLITS}
    text = "".join(str(SPLITS.index(split)) for split in splits)
    golden = json.loads((real_originals / "golden" / "splits.json").read_text())["splits"]["aml"]
    assert [len(text), hashlib.sha256(text.encode()).hexdigest()] == golden
    labels = encode_labels(card, samples, source)["morphological class"]
    assert np.bincount(labels).tolist() == [
        *(79, 78, 424, 15, 11, 3937, 15, 26, 1789, 42, 3268, 109, 8484, 18, 70),
    ]
    reread = [sample for sample in samples if sample.annotations["first_reannotation"]]
    assert len(reread) == sum(line.split()[2] != b"nan" for line in table.splitlines())
    assert not any("nan" in sample.annotations.values() for sample in samples)
