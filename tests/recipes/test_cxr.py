"""ChestX-ray14: findings of every image, patients kept together, and images wherever people keep them."""

import gzip
import hashlib
import io
import json
import shutil
import tarfile
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import medimeta as mm
from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError, TableError
from medimeta.recipes import cxr as module
from medimeta.recipes.cxr import RECIPE
from medimeta.recipes.recipe import Options
from medimeta.recipes.refusal import refuse_misfits
from medimeta.sources.archive import Archive
from medimeta.sources.find import find_original
from medimeta.synthetic import cxr as synthetic

HEAD = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
HEAD += "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
BOX_HEAD = "Image Index,Finding Label,Bbox [x,y,w,h],,,"
A, B, C, D = (f"{name}.png" for name in ("00000001_000", "00000001_001", "00000002_000", "00000003_000"))
ROWS = (
    f"{B},Cardiomegaly|Pleural_Thickening,1,1,58,M,PA,2894,2729,0.14300000000000002,0.143",
    f"{A},No Finding,0,1,57,M,AP,2682,2749,0.143,0.143",
    f"{C},Hernia,0,2,80,F,PA,2500,2048,0.171,0.168",
    f"{D},Mass|Hernia|Edema,0,3,81,F,PA,2582,2991,0.143,0.143",
)
BOXES = (f"{D},Mass,686.101694915254,131.543498411017,185.491525423729,313.5", f"{D},Infiltrate,1,2,3,4")
NAMES = [B, A, C, D]


def lines(*rows):
    return "".join(f"{row}\n" for row in rows).encode()


TABLES = {
    "Data_Entry_2017_v2020.csv": lines(HEAD, *ROWS),
    "BBox_List_2017.csv": lines(BOX_HEAD, *BOXES),
    "train_val_list.txt": f"{A}\n{B}\n{D}".encode(),
    "test_list.txt": C.encode(),
}


def plain(names=NAMES, folder="images/"):
    return {f"{folder}{name}": b"" for name in names}


def tarball(files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            packed.addfile(info, io.BytesIO(data))
    return gzip.compress(file.getvalue(), 1, mtime=0)


def write_folder(files, folder):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_zip(files, path):
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return path


@pytest.fixture
def found(tmp_path):
    """Find the original in a download that holds these files."""

    def find(files, **options):
        number = len(list(tmp_path.iterdir()))
        return find_original(write_folder(files, tmp_path / f"copy {number}"), RECIPE.original, ["cxr"], **options)

    return find


@pytest.fixture
def listed(found):
    def list_all(files, *, allow_partial=False):
        listing = RECIPE.listing(found(files, allow_partial=allow_partial), Options(allow_partial=allow_partial))
        refuse_misfits(listing, "here", allow_partial=True)
        return listing

    return list_all


@pytest.fixture
def refused(listed):
    """List an original that cannot be used; return what is wrong with it, without the place in front."""

    def refuse(files, kind=TableError):
        with pytest.raises(kind) as caught:
            listed(files)
        return [problem.rpartition("copy 0: ")[2] for problem in caught.value.problems or [str(caught.value)]]

    return refuse


def samples(listing):
    return listing.samples["cxr"]


def names(listing):
    return [sample.original_filepath.removeprefix("images/") for sample in samples(listing)]


def said(problems):
    return [problem.rpartition("copy 0: ")[2] for problem in problems]


def test_every_row_is_a_sample_in_the_order_of_the_table(listed):
    listing = listed(TABLES | plain())
    assert [sample.original_filepath for sample in samples(listing)] == [f"images/{name}" for name in NAMES]
    assert (listing.missing, listing.unnamed, listing.dropped) == ([], [], {})
    assert not any(sample.streamed for sample in samples(listing))


def test_findings_are_split_at_the_bar_and_no_finding_is_none(listed):
    labels = [sample.labels for sample in samples(listed(TABLES | plain()))]
    assert [found["disease labels"] for found in labels] == [
        frozenset({"Cardiomegaly", "Pleural_Thickening"}),
        frozenset(),
        frozenset({"Hernia"}),
        frozenset({"Mass", "Hernia", "Edema"}),
    ]
    assert [found["patient sex"] for found in labels] == ["M", "M", "F", "F"]


@pytest.mark.parametrize("cell", ["", "No Finding|Mass", "Mass|", "mass"])
def test_a_finding_that_the_card_does_not_know_is_passed_on_to_be_refused(listed, cell):
    tables = TABLES | {"Data_Entry_2017_v2020.csv": lines(HEAD, *ROWS).replace(b"No Finding", cell.encode())}
    assert samples(listed(tables | plain()))[1].labels["disease labels"] - set(
        mm.task("cxr/disease labels").labels.values()
    )


def test_all_columns_become_annotations_and_the_commas_in_the_head_make_four_of_two(listed):
    assert samples(listed(TABLES | plain()))[0].annotations == {
        "image_index": B,
        "finding_labels": "Cardiomegaly|Pleural_Thickening",
        "follow_up": "1",
        "patient_id": "1",
        "patient_age": "58",
        "patient_gender": "M",
        "view_position": "PA",
        "original_width": "2894",
        "original_height": "2729",
        "pixel_spacing_x": "0.14300000000000002",
        "pixel_spacing_y": "0.143",
        "bounding_boxes": "",
    }


def test_the_boxes_of_an_image_are_a_list_with_their_findings(listed):
    found = [sample.annotations["bounding_boxes"] for sample in samples(listed(TABLES | plain()))]
    assert found[:3] == ["", "", ""]
    assert json.loads(found[3]) == [
        {"finding": "Mass", "x": 686.101694915254, "y": 131.543498411017, "w": 185.491525423729, "h": 313.5},
        {"finding": "Infiltrate", "x": 1, "y": 2, "w": 3, "h": 4},
    ]


def test_the_table_of_2017_is_read_as_well(listed):
    old = [f"{row.replace(',58,', ',058Y,')}," for row in (HEAD, *ROWS)]
    tables = {name: data for name, data in TABLES.items() if not name.startswith("Data")}
    listing = listed(tables | {"Data_Entry_2017.csv": lines(*old)} | plain())
    assert names(listing) == NAMES
    assert samples(listing)[0].annotations["patient_age"] == "058Y"
    assert samples(listing)[0].annotations["pixel_spacing_y"] == "0.143"
    assert "" not in samples(listing)[0].annotations


def test_the_newer_table_is_taken_where_both_are_there(listed):
    old = {"Data_Entry_2017.csv": lines(HEAD, ROWS[0])}
    assert names(listed(TABLES | old | plain())) == NAMES


def test_a_byte_order_mark_windows_lines_and_blanks_in_tables_do_not_matter(listed):
    changed = {name: b"\xef\xbb\xbf" + data.replace(b"\n", b"\r\n") + b"\r\n\r\n" for name, data in TABLES.items()}
    assert listed(changed | plain()) == listed(TABLES | plain())


def test_paths_in_tables_may_be_longer_and_of_another_case(listed):
    changed = {
        name: data.replace(b"0000000", b"images\\0000000").replace(b".png", b".PNG") for name, data in TABLES.items()
    }
    changed["train_val_list.txt"] = TABLES["train_val_list.txt"].replace(b"0000000", b"images/0000000")
    listing = listed(changed | plain())
    assert (listing.missing, listing.unnamed) == ([], [])
    found, expected = samples(listing), samples(listed(TABLES | plain()))
    assert [sample.member for sample in found] == [sample.member for sample in expected]
    assert [sample.original_split for sample in found] == [sample.original_split for sample in expected]
    assert found[3].annotations["bounding_boxes"] == expected[3].annotations["bounding_boxes"]
    assert found[0].original_filepath == "images/00000001_001.PNG"


@pytest.mark.parametrize("folder", ["", "images/", "images_001/images/", "Images/a/b/"])
def test_images_may_lie_anywhere_and_be_of_another_case(listed, folder):
    files = {name.upper(): data for name, data in plain(folder=folder).items()}
    assert [sample.member for sample in samples(listed(TABLES | files))] == [(folder + name).upper() for name in NAMES]


@pytest.mark.parametrize("prefix", ["", "CXR8/", "my copy/CXR8/"])
def test_an_archive_or_a_folder_one_level_higher_or_lower_is_the_same(found, tmp_path, prefix):
    files = {f"{prefix}{name}": data for name, data in (TABLES | plain()).items()}
    files |= {"__MACOSX/CXR8/._test_list.txt": b"x", f"{prefix}images/Thumbs.db": b"x", f"{prefix}images/._a.png": b"x"}
    expected = RECIPE.listing(found(TABLES | plain()), Options())
    assert RECIPE.listing(found(files), Options()) == expected
    archive = find_original(write_zip(files, tmp_path / "CXR8.zip"), RECIPE.original)
    assert RECIPE.listing(archive, Options()) == expected


# Splits.


def test_the_test_list_is_kept_and_the_rest_is_split_by_patient(listed):
    listing = listed(TABLES | plain())
    assert [sample.original_split for sample in samples(listing)] == ["train", "train", "test", "train"]
    assert [sample.group for sample in samples(listing)] == ["1", "1", "2", "3"]
    splits = RECIPE.splits("cxr", samples(listing))
    assert splits[2] == "test"
    assert splits[0] == splits[1]
    assert {splits[0], splits[3]} == {"train", "val"}


def test_an_image_in_neither_or_in_both_lists_is_told(refused):
    tables = TABLES | {"train_val_list.txt": f"{A}\n{C}\n{C}".encode()}
    assert refused(tables | plain()) == [
        f"train_val_list.txt, line 3: {C} is already in train_val_list.txt",
        f"test_list.txt, line 1: {C} is already in train_val_list.txt",
        f"Data_Entry_2017_v2020.csv, line 2: {B} is neither in train_val_list.txt nor in test_list.txt",
        f"Data_Entry_2017_v2020.csv, line 5: {D} is neither in train_val_list.txt nor in test_list.txt",
    ]


def test_rows_and_boxes_that_cannot_be_used_are_told_together(refused):
    table = lines(HEAD, *ROWS).replace(b"000.png,Hernia,0,2,", b"000.png,Hernia,0,,")
    boxes = lines(BOX_HEAD, f"{D},Mass,left,2,nan,4")
    tables = TABLES | {"Data_Entry_2017_v2020.csv": table, "BBox_List_2017.csv": boxes}
    assert refused(tables | plain()) == [
        "BBox_List_2017.csv, line 2: x of the box is 'left', expected a number of pixels",
        "BBox_List_2017.csv, line 2: w of the box is 'nan', expected a number of pixels",
        "Data_Entry_2017_v2020.csv, line 4: names no patient, by whom images are split",
    ]


def test_an_image_with_two_rows_is_told(refused):
    tables = TABLES | {"Data_Entry_2017_v2020.csv": lines(HEAD, *ROWS, ROWS[1])}
    assert refused(tables | plain()) == [f"Data_Entry_2017_v2020.csv, line 6: image_index {A} is already in line 3"]


# What is missing.


def test_a_row_without_an_image_and_an_image_without_a_row_are_listed(listed):
    listing = listed(TABLES | plain([B, C, D, "other.png"]))
    assert names(listing) == [B, C, D]
    assert said(listing.missing) == [f"Data_Entry_2017_v2020.csv, line 3: {A} is missing"]
    assert said(listing.unnamed) == ["images/other.png: has no row in Data_Entry_2017_v2020.csv"]


def test_what_lists_and_boxes_name_beyond_the_table_is_listed(listed):
    listing = listed(TABLES | {"Data_Entry_2017_v2020.csv": lines(HEAD, *ROWS[:2])} | plain())
    assert names(listing) == [B, A]
    assert said(listing.missing) == [
        f"train_val_list.txt: {D} has no row in Data_Entry_2017_v2020.csv",
        f"test_list.txt: {C} has no row in Data_Entry_2017_v2020.csv",
        f"BBox_List_2017.csv, line 2: {D} has no row in Data_Entry_2017_v2020.csv",
        f"BBox_List_2017.csv, line 3: {D} has no row in Data_Entry_2017_v2020.csv",
    ]
    assert len(listing.unnamed) == 2


@pytest.mark.parametrize(
    ("table", "name"),
    [
        ("Data_Entry_2017_v2020.csv", "Data_Entry_2017_v2020.csv or Data_Entry_2017.csv"),
        ("BBox_List_2017.csv", "BBox_List_2017.csv"),
    ],
)
def test_a_table_that_is_missing_is_named(refused, table, name):
    files = {other: data for other, data in TABLES.items() if other != table}
    [problem] = refused(files | plain(), SourceNotFoundError)
    assert f"has no {name}. Fetch it" in problem


@pytest.mark.parametrize("table", ["train_val_list.txt", "test_list.txt"])
def test_without_both_lists_it_is_not_the_original(refused, table):
    files = {other: data for other, data in TABLES.items() if other != table}
    [problem] = refused(files | plain(), SourceNotFoundError)
    assert "Expected the archive CXR8.zip or test_list.txt, train_val_list.txt side by side" in problem


def test_a_partial_build_needs_no_boxes_but_the_table(listed):
    files = {name: data for name, data in TABLES.items() if not name.startswith("BBox")}
    listing = listed(files | plain(), allow_partial=True)
    assert names(listing) == NAMES
    assert {sample.annotations["bounding_boxes"] for sample in samples(listing)} == {""}
    del files["Data_Entry_2017_v2020.csv"]
    with pytest.raises(SourceNotFoundError, match="has no Data_Entry_2017_v2020.csv"):
        listed(files | plain(), allow_partial=True)


# Tarballs.

PACKED = {
    "images/images_001.tar.gz": tarball({f"images/{D}": b"d", f"images/._{A}": b"x", f"images/{B}": b"b"}),
    "images/images_002.TGZ": tarball({f"./images/{A.upper()}": b"a", "images/notes.txt": b"x", f"images/{C}": b"c"}),
}


def test_what_is_no_file_is_presumed_to_be_in_the_tarballs_which_are_not_read(listed, monkeypatch):
    monkeypatch.setattr(module, "tarball_names", None)
    listing = listed(TABLES | PACKED | plain([C]))
    assert [(sample.member, sample.streamed) for sample in samples(listing)] == [
        (B, True),
        (A, True),
        (f"images/{C}", False),
        (D, True),
    ]
    assert (listing.missing, listing.unnamed) == ([], [])


def test_a_partial_build_reads_the_tarballs_first_to_know_what_they_hold(listed):
    more = {"images/images_003.tar.gz": tarball({"images/other.png": b"x"})}
    listing = listed(TABLES | {"images/images_002.tgz": PACKED["images/images_002.TGZ"]} | more, allow_partial=True)
    assert [(sample.member, sample.streamed) for sample in samples(listing)] == [(A, True), (C, True)]
    assert said(listing.missing) == [
        f"Data_Entry_2017_v2020.csv, line 2: {B} is missing",
        f"Data_Entry_2017_v2020.csv, line 5: {D} is missing",
    ]
    assert said(listing.unnamed) == [
        "images/images_003.tar.gz: images/other.png: has no row in Data_Entry_2017_v2020.csv"
    ]


def test_tarballs_are_streamed_in_their_order_without_what_is_no_image(found):
    source = found(TABLES | PACKED)
    assert list(RECIPE.stream(source)) == [(D, b"d"), (B, b"b"), (A, b"a"), (C, b"c")]


def test_a_file_wins_over_the_tarball(listed, found):
    files = TABLES | PACKED | plain([A, D], "unpacked/")
    for allow_partial in (False, True):
        members = [sample.member for sample in samples(listed(files, allow_partial=allow_partial))]
        assert members == [B, f"unpacked/{A}", C, f"unpacked/{D}"]
    assert list(RECIPE.stream(found(files))) == [(B, b"b"), (C, b"c")]


def test_tarballs_may_be_beside_the_tables(listed):
    loose = {name.removeprefix("images/"): data for name, data in PACKED.items()}
    assert samples(listed(TABLES | loose)) == samples(listed(TABLES | PACKED))


def test_a_tarball_that_is_cut_short_is_told(listed, found):
    files = TABLES | PACKED
    files["images/images_001.tar.gz"] = files["images/images_001.tar.gz"][:-5]
    with pytest.raises(DamagedSourceError, match=r"images_001\.tar\.gz: is cut short"):
        list(RECIPE.stream(found(files)))
    with pytest.raises(DamagedSourceError, match=r"images_001\.tar\.gz: is cut short"):
        listed(files, allow_partial=True)


# Pixels.


class Held(Archive):
    """Images that came from a stream, as a build hands them to the recipe."""

    def __init__(self, images):
        super().__init__(Path("held"))
        self.images = images

    def read(self, member):
        return self.images[member]

    def state(self, members):
        return ""

    _names = _size = _read = _open = None


def rendered(source, size=224):
    """Render all samples as a build does; return their pixels by name."""
    held = Held(dict(RECIPE.stream(source)))
    pixels = {}
    for sample in samples(RECIPE.listing(source, Options(allow_partial=True))):
        result = RECIPE.render(held if sample.streamed else source, sample, Options(size))
        pixels[sample.original_filepath] = result
    return pixels


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def noise(width, height, mode):
    values = np.random.default_rng(width * height).integers(0, 256, (height, width, 4), dtype=np.uint8)
    return Image.fromarray(values, "RGBA").convert(mode)


def test_images_become_grey_and_a_thumbnail(found):
    images = [noise(1024, 1024, "L"), noise(640, 640, "RGBA"), noise(100, 100, "L"), noise(300, 500, "RGB")]
    files = {f"images/{name}": png(image) for name, image in zip(NAMES, images, strict=True)}
    bicubic = Image.Resampling.BICUBIC
    for image, result in zip(images, rendered(found(TABLES | files)).values(), strict=True):
        grey = image.convert("L")
        square = ImageOps.pad(grey, (max(grey.size),) * 2, method=bicubic, color=0)
        if max(grey.size) < 224:
            expected = square.resize((224, 224), bicubic)
        else:
            expected = square
            expected.thumbnail((224, 224), bicubic)
        assert np.array_equal(result.pixels, np.asarray(expected))
        assert result.converted_from == (None if image.mode == "L" else image.mode)
        assert result.original_size == image.size
        assert result.enlarged == (max(image.size) < 224)


def test_an_image_that_does_not_decode_is_named(found):
    source = found(TABLES | plain())
    sample = samples(RECIPE.listing(source, Options()))[0]
    with pytest.raises(SourceError, match=rf"images/{B}: is not an image"):
        RECIPE.render(source, sample, Options())


# The synthetic original.


def test_the_synthetic_original_has_every_split_label_and_quirk(tmp_path):
    synthetic.write(tmp_path, 5, 0)
    source = find_original(tmp_path, RECIPE.original)
    listing = RECIPE.listing(source, Options())
    assert (listing.missing, listing.unnamed) == ([], [])
    partial = RECIPE.listing(source, Options(allow_partial=True))
    assert partial == listing
    images = dict(RECIPE.stream(source))
    assert sorted(images) == sorted(names(listing)) != list(images)
    splits = RECIPE.splits("cxr", samples(listing))
    assert set(splits) == {"train", "val", "test"}
    for split in ("train", "test"):
        kept = [sample.labels for sample, own in zip(samples(listing), splits, strict=True) if own == split]
        findings = set.union(*(set(labels["disease labels"]) for labels in kept))
        assert findings == set(mm.task("cxr/disease labels").labels.values())
        assert frozenset() in [labels["disease labels"] for labels in kept]
        assert {labels["patient sex"] for labels in kept} == {"F", "M"}
    opened = [Image.open(io.BytesIO(data)) for data in images.values()]
    assert {image.mode for image in opened} == {"L", "RGBA"}
    assert min(image.width for image in opened) < 224
    assert any("Infiltrate" in sample.annotations["bounding_boxes"] for sample in samples(listing))


# The real tables and images.


def test_the_real_tables_give_the_counts_and_splits_of_the_release(real_originals, tmp_path):
    for file in (real_originals / "cxr").glob("*.*"):
        shutil.copy(file, tmp_path)
    (tmp_path / "images_001.tar.gz").write_bytes(b"not read")
    listing = RECIPE.listing(find_original(tmp_path, RECIPE.original), Options())
    assert (listing.missing, listing.unnamed) == ([], [])
    splits = RECIPE.splits("cxr", samples(listing))
    assert Counter(splits) == {"train": 73_421, "val": 13_103, "test": 25_596}
    golden = json.loads((real_originals / "golden" / "splits.json").read_text())["splits"]["cxr"]
    digits = "".join(str(["train", "val", "test"].index(split)) for split in splits)
    assert [len(splits), hashlib.sha256(digits.encode()).hexdigest()] == golden
    findings = Counter(name for sample in samples(listing) for name in sample.labels["disease labels"])
    assert set(findings) == set(mm.task("cxr/disease labels").labels.values())
    assert (findings["Infiltration"], findings["Hernia"]) == (19_894, 227)
    assert sum(not sample.labels["disease labels"] for sample in samples(listing)) == 60_361
    assert Counter(sample.labels["patient sex"] for sample in samples(listing)).keys() == {"F", "M"}
    boxes = [json.loads(cell) for sample in samples(listing) if (cell := sample.annotations["bounding_boxes"])]
    assert (len(boxes), sum(map(len, boxes))) == (880, 984)


@pytest.fixture
def real_files(real_originals):
    """Return the sixteen real images and the lines of the real tables that name them."""
    images = {path.name: path.read_bytes() for path in sorted((real_originals / "cxr" / "images").glob("*.png"))}
    tables = {}
    for path in (real_originals / "cxr").glob("*.*"):
        every = path.read_bytes().splitlines(keepends=True)
        head = every[:1] if path.suffix == ".csv" else []
        tables[path.name] = b"".join(head + [line for line in every if line[:16].decode() in images])
    return images, tables


def test_real_images_are_the_same_from_a_nested_zip_loose_tarballs_and_a_folder(real_files, tmp_path):
    images, tables = real_files
    members = {f"images/{name}": data for name, data in images.items()}
    packs = {
        "images/images_001.tar.gz": tarball(dict(list(members.items())[::2])),
        "images/images_002.tar.gz": tarball(dict(list(members.items())[:0:-2])),
    }
    loose = {name.removeprefix("images/"): data for name, data in packs.items()}
    zipped = write_zip({f"CXR8/{name}": data for name, data in (tables | packs).items()}, tmp_path / "CXR8.zip")
    copies = [
        zipped,
        write_folder(tables | loose, tmp_path / "loose"),
        write_folder(tables | members, tmp_path / "plain"),
    ]
    results = [rendered(find_original(copy, RECIPE.original, allow_partial=True)) for copy in copies]
    rows = tables["Data_Entry_2017_v2020.csv"].decode().splitlines()[1:]
    order = [f"images/{row[:16]}" for row in rows]
    assert order != sorted(order)  # the real table is not sorted everywhere
    assert [list(result) for result in results] == [order] * 3
    assert len(order) == 16
    for name, data in images.items():
        image = Image.open(io.BytesIO(data))
        expected = image.convert("L")
        expected.thumbnail((224, 224), Image.Resampling.BICUBIC)
        for result in results:
            assert np.array_equal(result[f"images/{name}"].pixels, np.asarray(expected)), name
            assert result[f"images/{name}"].converted_from == (None if image.mode == "L" else "RGBA")
