"""What the recipe of fundus makes of RFMiD's tables and trees as people have them."""

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
from medimeta.errors import LabelError, SourceNotFoundError, TableError
from medimeta.recipes.fundus import IMAGES, RECIPE, SETS, TABLES, TOP
from medimeta.recipes.recipe import Options
from medimeta.recipes.refusal import refuse_misfits
from medimeta.sources.find import find_original
from medimeta.synthetic.fundus import write

DISEASES = mm.task("fundus/disease labels").classes
TRAIN, VAL, TEST = (set_.table for set_ in SETS.values())


def table_of(*rows, columns=DISEASES):
    """Return a table of rows that are given as ID, risk and the diseases found."""
    lines = [("ID", "Disease_Risk", *columns)]
    lines += [(str(number), str(risk), *(str(int(c in found)) for c in columns)) for number, risk, found in rows]
    return "".join(",".join(line) + "\n" for line in lines)


def listing_of(path, **options):
    source = find_original(path, RECIPE.original, ["fundus"], **options)
    listing = RECIPE.listing(source, Options(**options))
    refuse_misfits(listing, str(path), allow_partial=True)
    return listing


def facts(listing):
    """Return what must be the same for every form of one original."""
    assert not listing.missing + listing.unnamed
    return [(s.original_filepath, s.labels, s.original_split) for s in listing.samples["fundus"]]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    [path] = write(tmp_path_factory.mktemp("fundus"), 5, 0)
    return path


@pytest.fixture
def tree(tmp_path):
    """Write an extracted original with two empty images in each set, and return it; change it at will."""
    top = tmp_path / "download" / TOP
    (top / TABLES).mkdir(parents=True)
    for folder, table in SETS.values():
        (top / IMAGES / folder).mkdir(parents=True)
        for number in (10, 9):
            (top / IMAGES / folder / f"{number}.png").write_bytes(b"")
        (top / TABLES / table).write_text(table_of((10, 1, ("DR", "CL")), (9, 0, ())))
    return top


def test_order_is_that_of_the_rows_of_training_validation_and_testing(tree):
    samples = listing_of(tree).samples["fundus"]
    assert [(sample.original_filepath, sample.original_split) for sample in samples] == [
        (f"{TOP}/{IMAGES}/{folder}/{number}.png", split) for split, (folder, _) in SETS.items() for number in (10, 9)
    ]
    assert samples[0].original_filepath == "A. RFMiD_All_Classes_Dataset/1. Original Images/a. Training Set/10.png"
    assert RECIPE.splits("fundus", samples) == ["train", "train", "val", "val", "test", "test"]


def test_presence_is_the_risk_and_diseases_are_the_columns_that_are_1(tree):
    (tree / TABLES / TRAIN).write_text(table_of((9, 1, ()), (10, 0, ("HPED", "MH")), columns=DISEASES[::-1]))
    source = find_original(tree, RECIPE.original)
    samples = RECIPE.listing(source, Options()).samples["fundus"]
    labels = encode_labels(mm.dataset("fundus"), samples, source)
    assert labels["disease presence"].tolist() == [1, 0, 1, 0, 1, 0]
    found = [{DISEASES[place] for place in np.flatnonzero(row)} for row in labels["disease labels"]]
    assert found == [set(), {"HPED", "MH"}, {"DR", "CL"}, set(), {"DR", "CL"}, set()]


def test_marks_line_ends_case_and_leftovers_do_no_harm(tree):
    for name, data in ((VAL, b"\xef\xbb\xbf"), (TEST, b"")):
        path = tree / TABLES / name
        path.write_bytes(data + path.read_bytes().replace(b"\n", b"\r\n").replace(b"ID,", b"ID ,") + b",,\r\n")
    folder = tree / IMAGES / "a. Training Set"
    (folder / "9.png").rename(folder / "9.PNG")
    for name in ("Thumbs.db", "._9.png", ".9.png", "notes.txt"):
        (folder / name).write_bytes(b"")
    folder.rename(tree / IMAGES / "A. training set")
    (tree / TABLES / TRAIN).rename(tree / TABLES / TRAIN.upper())
    (tree / TABLES).rename(tree / TABLES.upper())
    listing = listing_of(tree)
    assert len(facts(listing)) == 6
    assert listing.samples["fundus"][1].member == f"{IMAGES}/A. training set/9.PNG"
    assert listing.samples["fundus"][1].original_filepath == f"{TOP}/{IMAGES}/a. Training Set/9.png"


def test_rows_without_image_and_images_without_row_are_told_and_have_no_sample(tree):
    (tree / IMAGES / "b. Validation Set" / "9.png").rename(tree / IMAGES / "b. Validation Set" / "8.png")
    listing = listing_of(tree, allow_partial=True)
    assert len(listing.samples["fundus"]) == 5
    assert listing.missing == [f"{tree}: {TABLES}/{VAL}, line 3: b. Validation Set/9.png is missing"]
    assert listing.unnamed == [f"{tree}: {IMAGES}/b. Validation Set/8.png: is not named in any table"]


def test_pictures_beside_the_three_sets_are_not_missed_in_the_tables(tree):
    (tree / TABLES / "example.png").write_bytes(b"")
    assert listing_of(tree).unnamed == []


def test_cells_that_are_neither_0_nor_1_are_told_at_once_from_all_tables(tree):
    for name, cell in ((TRAIN, "2"), (TEST, "")):
        path = tree / TABLES / name
        lines = path.read_text().splitlines()
        lines[2] = f"9,{cell},x" + lines[2][len("9,0,0") :]
        path.write_text("\n".join(lines))
    with pytest.raises(TableError) as caught:
        listing_of(tree)
    assert caught.value.problems == (
        f"{tree}: {TABLES}/{TRAIN}, line 3: expected 0 or 1, got Disease_Risk '2', DR 'x'",
        f"{tree}: {TABLES}/{TEST}, line 3: expected 0 or 1, got Disease_Risk '', DR 'x'",
    )


def test_a_missing_column_and_an_id_twice_are_refused_and_an_unknown_disease_is_left_to_the_engine(tree):
    path = tree / TABLES / TEST
    path.write_text(table_of((9, 0, ()), columns=DISEASES[1:]))
    with pytest.raises(TableError, match="has no column 'DR'"):
        listing_of(tree)
    path.write_text(table_of((9, 0, ()), (10, 0, ()), (9, 1, ())))
    with pytest.raises(TableError, match="line 4: ID 9 is already in line 2"):
        listing_of(tree)
    path.write_text(table_of((9, 0, ()), (10, 1, ("NEW",)), columns=(*DISEASES, "NEW")))
    source = find_original(tree, RECIPE.original)
    with pytest.raises(LabelError, match=r"c\. Testing Set/10\.png: disease labels: unknown labels 'NEW'"):
        encode_labels(mm.dataset("fundus"), RECIPE.listing(source, Options()).samples["fundus"], source)


def test_whole_splits_may_be_absent_with_leave_alone(tree):
    (tree / TABLES / TRAIN).unlink()
    shutil.rmtree(tree / IMAGES / "a. Training Set")
    with pytest.raises(SourceNotFoundError, match=f"tables of fundus are missing:\n  - {TRAIN}$"):
        listing_of(tree)
    listing = listing_of(tree, allow_partial=True)
    assert {sample.original_split for sample in listing.samples["fundus"]} == {"val", "test"}
    assert len(facts(listing)) == 4
    for name in (VAL, TEST):
        (tree / TABLES / name).unlink()
    (tree / TABLES / "readme.txt").write_bytes(b"")
    with pytest.raises(SourceNotFoundError, match=f"- {TRAIN}\n  - {VAL}\n  - {TEST}$"):
        listing_of(tree, allow_partial=True)


def test_an_original_without_tables_or_images_is_not_found(tree):
    shutil.rmtree(tree / TABLES)
    with pytest.raises(SourceNotFoundError, match=r"1\. original images, 2\. groundtruths side by side"):
        listing_of(tree, allow_partial=True)


def test_all_forms_of_the_download_list_the_same_samples(original, tmp_path):
    expected = facts(listing_of(original))
    extracted = tmp_path / "extracted"
    shutil.unpack_archive(original, extracted)
    shutil.copytree(extracted / TOP, tmp_path / "renamed" / "fundus" / "RFMiD")
    for form in (original.parent, extracted, extracted / TOP, tmp_path / "renamed"):
        assert facts(listing_of(form)) == expected, form
    for name, folder in (("higher", tmp_path / "renamed"), ("lower", extracted / TOP)):
        assert facts(listing_of(shutil.make_archive(str(tmp_path / name), "zip", folder))) == expected, name


@pytest.mark.parametrize("size", [224, 32])  # at 32, a thumbnail is made in two steps
def test_pixels_are_the_thumbnail_of_the_centred_square(original, size):
    source = find_original(original, RECIPE.original)
    samples = RECIPE.listing(source, Options()).samples["fundus"][:4]
    enlarged = []
    for sample, rendered in zip(samples, RECIPE.render_all(source, samples, Options(size=size)), strict=True):
        with Image.open(io.BytesIO(source.read(sample.member))) as image:
            side, left = image.height, (image.width - image.height) // 2
            square = image.crop((left, 0, left + side, side))
        if side < size:
            square = square.resize((size, size), Image.Resampling.BICUBIC)
        else:
            square.thumbnail((size, size), Image.Resampling.BICUBIC)
        assert np.array_equal(rendered.pixels, np.asarray(square))
        assert rendered.enlarged == (side < size)
        enlarged.append(rendered.enlarged)
    assert enlarged == [size == 224, False, False, False]


def test_the_synthetic_original_has_every_disease_in_every_split_and_normal_images_too(original):
    source = find_original(original, RECIPE.original)
    samples = RECIPE.listing(source, Options()).samples["fundus"]
    labels = encode_labels(mm.dataset("fundus"), samples, source)
    for split in SPLITS:
        own = [index for index, sample in enumerate(samples) if sample.original_split == split]
        assert labels["disease labels"][own].any(axis=0).all()
        assert set(labels["disease presence"][own].tolist()) == {0, 1}
    heads = [source.read(f"{TABLES}/{name}")[:3] for name in (TRAIN, VAL)]
    assert [head == b"\xef\xbb\xbf" for head in heads] == [True, False]


def test_the_real_tables_give_the_splits_and_labels_of_the_release(real_originals, tmp_path):
    rows = {"train": 1920, "val": 640, "test": 640}
    expected, marks = [], []
    with zipfile.ZipFile(tmp_path / f"{TOP}.zip", "w") as file:
        for split, (folder, table) in SETS.items():
            data = (real_originals / "fundus" / table).read_bytes()
            marks.append(data.startswith(b"\xef\xbb\xbf"))
            file.writestr(f"{TOP}/{TABLES}/{table}", data)
            lines = [line.split(",") for line in data.decode("utf-8-sig").split()]
            assert lines[0] == ["ID", "Disease_Risk", *DISEASES]
            expected += [list(map(int, cells[1:])) for cells in lines[1:]]
            for number in range(rows[split]):
                file.writestr(f"{TOP}/{IMAGES}/{folder}/{number + 1}.png", b"")
    assert any(marks)
    source = find_original(tmp_path, RECIPE.original)
    listing = RECIPE.listing(source, Options())
    samples = listing.samples["fundus"]
    assert listing.missing == listing.unnamed == []
    splits = Counter(RECIPE.splits("fundus", samples))
    assert splits == {split: mm.dataset("fundus").samples.of(split) for split in SPLITS} == rows
    labels = encode_labels(mm.dataset("fundus"), samples, source)
    assert np.array_equal(labels["disease presence"], np.array(expected)[:, 0])
    assert np.array_equal(labels["disease labels"], np.array(expected)[:, 1:])
    assert samples[1920].original_filepath == f"{TOP}/{IMAGES}/b. Validation Set/1.png"
