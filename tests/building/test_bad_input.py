"""Damaged downloads of the tables, volumes, DICOM files and tarballs: refused by name, with what is finished kept.

Each begins with a synthetic original, so that nothing but the damage is wrong with it.
"""

import csv
import io
import shutil
import struct
import tarfile
import zipfile
import zlib

import pydicom
import pytest
from PIL import Image

import medimeta as mm
from medimeta.building import chunks, plan
from medimeta.cli.boundary import run
from medimeta.errors import DamagedSourceError, LabelError, SourceNotFoundError, TableError
from medimeta.sources import archive, tarballs

FUNDUS = "A. RFMiD_All_Classes_Dataset"
DERM = "ISIC2018_Task3_Training"
FILES = {
    "cxr": ["CXR8.zip"],
    "derm": [
        *(
            f"ISIC2018_Task3_{split}_{kind}.zip"
            for split in ("Training", "Validation", "Test")
            for kind in ("Input", "GroundTruth")
        ),
        f"{DERM}_LesionGroupings.csv",
    ],
    "fundus": [f"{FUNDUS}.zip"],
    "mammo_mass": ["CBIS-DDSM", "mass_case_description_train_set.csv", "mass_case_description_test_set.csv"],
    "organs_axial": [
        "Training_Batch1.zip",
        "Training_Batch2.zip",
        "LITS-Challenge-Test-Data.zip",
        "annotations for lits",
    ],
}
# The archive, if it lies in one, and the table.
TABLES = {
    "cxr": ("CXR8.zip", "CXR8/Data_Entry_2017_v2020.csv"),
    "derm": (f"{DERM}_GroundTruth.zip", f"{DERM}_GroundTruth/{DERM}_GroundTruth.csv"),
    "fundus": (f"{FUNDUS}.zip", f"{FUNDUS}/2. Groundtruths/a. RFMiD_Training_Labels.csv"),
    "mammo_mass": (None, "mass_case_description_train_set.csv"),
}


class Download:
    """A copy of the original of a dataset, to be damaged."""

    def __init__(self, dataset, originals, folder):
        self.dataset, self.folder = dataset, folder
        folder.mkdir(parents=True)
        for name in FILES[dataset]:
            copy = shutil.copytree if (originals / name).is_dir() else shutil.copy
            copy(originals / name, folder / name)

    def zip(self, name):
        """Return the members of an archive, in order."""
        with zipfile.ZipFile(self.folder / name) as packed:
            return {member: packed.read(member) for member in packed.namelist()}

    def repack(self, name, members):
        with zipfile.ZipFile(self.folder / name, "w") as packed:
            for member, data in members.items():
                packed.writestr(member, data)

    def edit(self, name, **changes):
        """Change members of an archive; None removes one."""
        members = self.zip(name) | changes
        self.repack(name, {member: data for member, data in members.items() if data is not None})

    def edit_table(self, change):
        """Let the rows of the dataset's table be changed, the head among them."""
        name, table = TABLES[self.dataset]
        data = (self.folder / table).read_bytes() if name is None else self.zip(name)[table]
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
        change(rows)
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        if name is None:
            (self.folder / table).write_text(text.getvalue(), newline="")
        else:
            self.edit(name, **{table: text.getvalue().encode()})

    def images(self):
        """Return the images of fundus or of derm's training set that were packed, in order."""
        name = f"{FUNDUS}.zip" if self.dataset == "fundus" else f"{DERM}_Input.zip"
        return [member for member in self.zip(name) if member.endswith((".png", ".jpg"))]

    def edit_image(self, member, data):
        self.edit(f"{FUNDUS}.zip" if self.dataset == "fundus" else f"{DERM}_Input.zip", **{member: data})

    def dicom(self):
        """Return the first mammogram."""
        return min(self.folder.rglob("Mass-Training*_CC/*/*/1-1.dcm"))


@pytest.fixture
def download(originals, tmp_path):
    return lambda dataset, folder="download": Download(dataset, originals, tmp_path / folder)


@pytest.fixture
def as_if_whole(monkeypatch):
    """Let builds pass that have other counts than the release, so that they need not be partial."""
    monkeypatch.setattr(plan, "_departures", lambda *_: [])


@pytest.fixture
def told(root, capsys):
    """Check that function and command refuse a download with one message, publish nothing, keep what is finished."""

    def check(error, download, *parts, kept=False, partial=True):
        dataset = download.dataset
        with pytest.raises(error) as caught:
            mm.build(dataset, download.folder, root, workers=1, size=16, allow_partial=partial)
        message = str(caught.value)
        assert [part for part in parts if part not in message] == [], message
        assert str(download.folder) in message
        command = ["build", dataset, "--source", str(download.folder), "--root", str(root), "--workers", "1"]
        assert run([*command, "--size", "16", *(["--allow-partial"] if partial else [])]) == 1
        output = capsys.readouterr()
        assert f"error: {message}\n" in output.err
        assert "Traceback" not in output.err
        assert output.out == ""
        assert not (root / dataset).exists()
        assert (root / f".{dataset}.partial").exists() == kept
        return message

    return check


# Archives


@pytest.mark.parametrize("dataset", ["cxr", "fundus"])
def test_a_zip_that_is_cut_short_is_told(download, told, dataset):
    ours = download(dataset)
    path = ours.folder / FILES[dataset][0]
    path.write_bytes(path.read_bytes()[:-1000])
    told(DamagedSourceError, ours, "is not a whole zip file", f"{path.stat().st_size:,} bytes", "fetch it again")


def test_a_checksum_that_is_wrong_is_told_with_the_member(download, told):
    ours = download("fundus")
    path, member = ours.folder / f"{FUNDUS}.zip", ours.images()[5]
    with zipfile.ZipFile(path) as packed:
        start = packed.getinfo(member).header_offset
    data = bytearray(path.read_bytes())
    data[start + 14 : start + 18] = b"\0\0\0\0"  # it stands here, and in the directory at the end
    directory = data.rindex(member.encode())
    data[directory - 30 : directory - 26] = b"\0\0\0\0"
    path.write_bytes(data)
    told(DamagedSourceError, ours, f"the member {member!r} is damaged (Bad CRC-32", "Fetch the archive", kept=True)


def test_a_tarball_that_is_cut_short_is_told_and_what_came_before_is_kept(download, told, as_if_whole, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 4)
    ours, name = download("cxr"), "CXR8/images/images_011.tar.gz"
    ours.edit("CXR8.zip", **{name: ours.zip("CXR8.zip")[name][:-2000]})
    told(DamagedSourceError, ours, f"{name}: is cut short or damaged", "Fetch it again", kept=True, partial=False)


def test_a_tarball_that_is_cut_short_is_told_before_a_partial_build_begins(download, told):
    ours, name = download("cxr"), "CXR8/images/images_011.tar.gz"
    ours.edit("CXR8.zip", **{name: ours.zip("CXR8.zip")[name][:-2000]})
    told(DamagedSourceError, ours, f"{name}: is cut short or damaged", "Fetch it again")


def test_a_zip_whose_member_climbs_out_is_refused(download, told, tmp_path):
    ours = download("fundus")
    ours.edit_image("../../evil.png", b"")
    told(DamagedSourceError, ours, "the member '../../evil.png' leads out of the archive", "Do not trust it")
    assert list(tmp_path.parent.glob("evil.png")) == []


def test_a_link_in_a_zip_is_not_followed(download, told, tmp_path):
    ours = download("fundus")
    member = ours.images()[3]
    members = ours.zip(f"{FUNDUS}.zip")
    (tmp_path / "private.png").write_bytes(members.pop(member))
    ours.repack(f"{FUNDUS}.zip", members)
    with zipfile.ZipFile(ours.folder / f"{FUNDUS}.zip", "a") as packed:
        link = zipfile.ZipInfo(member)
        link.create_system, link.external_attr = 3, 0o120777 << 16
        packed.writestr(link, str(tmp_path / "private.png"))
    told(DamagedSourceError, ours, f"the member {member!r} is a link. Do not trust it", kept=True)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"name": "../evil.png"}, "the member '../evil.png' leads out of the archive"),
        ({"name": "/evil.png"}, "the member '/evil.png' leads out of the archive"),
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "the member 'images/1.png' is a link or a device"),
        ({"type": tarfile.LNKTYPE, "linkname": "images/2.png"}, "the member 'images/1.png' is a link or a device"),
        (
            {"size": 10**9},
            "the member 'images/1.png' is 1,000,000,000 bytes long; expected no more than the 268,435,456",
        ),
    ],
)
def test_a_tarball_with_what_no_original_has_is_refused(download, told, changes, part):
    ours, name = download("cxr"), "CXR8/images/images_003.tar.gz"
    info, file = tarfile.TarInfo("images/1.png"), io.BytesIO()
    for field, value in changes.items():
        setattr(info, field, value)
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        tar.addfile(info)
    ours.edit("CXR8.zip", **{name: file.getvalue()})
    told(DamagedSourceError, ours, f"{name}: {part}")


def test_a_link_in_a_folder_that_leads_out_of_it_is_refused(download, told, tmp_path):
    ours = download("mammo_mass")
    path = ours.dicom()
    path.rename(tmp_path / "private.dcm")
    path.symlink_to(tmp_path / "private.dcm")
    told(DamagedSourceError, ours, path.name, "is a link that leads out of", "replace it by the file", kept=True)


def test_a_member_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(download, told, monkeypatch):
    ours = download("fundus")
    ours.edit_image(ours.images()[5], bytes(500_000))
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 499_999)
    part = f"{ours.images()[5]}: is 500,000 bytes long, more than the 499,999 that a member"
    told(DamagedSourceError, ours, part, "Check that this is the original download", kept=True)


def test_a_tarball_that_unpacks_to_too_much_between_files_is_refused(download, told, monkeypatch):
    ours, name = download("cxr"), "CXR8/images/images_002.tar.gz"
    info, file = tarfile.TarInfo("x" * 2_000_000), io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(info)
    ours.edit("CXR8.zip", **{name: file.getvalue()})
    monkeypatch.setattr(tarballs, "MAX_FILE_BYTES", 1_000_000)
    monkeypatch.setattr(tarballs, "BUFFER", 10_240)
    told(DamagedSourceError, ours, f"{name}: holds more than 1,000,000 bytes between two files")


# Images


def png(bits, kind, size=(4, 4), channels=3):
    """Return a PNG file with a head of our own: Pillow writes no colours of 16 bits, and no image that is too large."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    lines = bytes((1 + 4 * channels * bits // 8) * 4)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("size", "part"),
    [((12_000, 12_000), "is 12000x12000 pixels, more than the 100,000,000"), ((60_000, 60_000), "limit of ")],
)
def test_an_image_that_decodes_to_too_much_is_refused(download, told, size, part):
    ours = download("fundus")
    ours.edit_image(ours.images()[5], png(8, 2, size))
    told(DamagedSourceError, ours, f"{ours.images()[5]}: is ", part, "1 of ", kept=True)


def test_jpegs_that_decode_only_in_part_are_told_together(download, told):
    ours = download("derm")
    bad = ours.images()[4:6]
    for member in bad:
        ours.edit_image(member, ours.zip(f"{DERM}_Input.zip")[member][:-1500])
    message = told(DamagedSourceError, ours, *(f"{member}: does not decode" for member in bad), "2 of 70", kept=True)
    assert message.count("  - ") == 2


@pytest.mark.parametrize(
    ("kind", "channels", "part"),
    [(0, 1, "has colour mode I;16"), (2, 3, "has 16 bits a channel"), (6, 4, "has 16 bits a channel")],
    ids=["grey", "RGB", "RGBA"],
)
def test_images_of_16_bits_are_refused_as_half_of_them_would_be_lost(download, told, kind, channels, part):
    ours = download("fundus")
    ours.edit_image(ours.images()[5], png(16, kind, channels=channels))
    told(DamagedSourceError, ours, f"{ours.images()[5]}: {part}", "expected 8", "original download", kept=True)


def test_palettes_and_cmyk_are_converted_and_counted(download, root):
    ours = download("derm")
    for member, mode, kind in zip(
        ours.images(), ("P", "CMYK", "CMYK", "L"), ("PNG", "JPEG", "JPEG", "JPEG"), strict=False
    ):
        image = Image.open(io.BytesIO(ours.zip(f"{DERM}_Input.zip")[member])).convert(mode)
        file = io.BytesIO()
        image.save(file, kind)
        ours.edit_image(member, file.getvalue())
    [report] = mm.build("derm", ours.folder, root, workers=1, size=16, allow_partial=True)
    assert report.converted == {"CMYK": 2, "L": 1, "P": 1}
    assert "colour mode converted: 2 from CMYK, 1 from L, 1 from P" in report.text()


# Tables


@pytest.mark.parametrize(
    ("dataset", "column"),
    [("cxr", "Patient ID"), ("derm", "BCC"), ("fundus", "MYA"), ("mammo_mass", "pathology")],
)
def test_a_missing_column_is_told_with_those_that_are_there(download, told, dataset, column):
    def rename(rows):
        rows[0][rows[0].index(column)] = "other"

    ours = download(dataset)
    ours.edit_table(rename)
    shown = "_".join(column.split()).lower() if dataset == "cxr" else column
    told(TableError, ours, f"has no column {shown!r}", "its columns are ", "other", TABLES[dataset][1])


@pytest.mark.parametrize(
    ("dataset", "column", "cell", "error", "part"),
    [
        ("cxr", "Finding Labels", "Mass|Cough", LabelError, "unknown labels 'Cough'; known: 'Atelectasis'"),
        ("cxr", "Patient Gender", "X", LabelError, "patient sex: unknown label 'X'; known: "),
        ("derm", "BCC", "0.5", TableError, "expected 1 in one of MEL, NV"),
        ("fundus", "MYA", "2", TableError, "expected 0 or 1, got MYA '2'"),
        ("mammo_mass", "pathology", "UNSURE", LabelError, "pathology: unknown label 'UNSURE'; known: "),
        ("mammo_mass", "mass shape", "CUBE", LabelError, "unknown labels 'CUBE'; known: "),
    ],
)
def test_labels_that_are_unknown_are_told_together(download, told, dataset, column, cell, error, part):
    def spoil(rows):
        for row in rows[3:5]:
            row[rows[0].index(column)] = cell

    ours = download(dataset)
    ours.edit_table(spoil)
    assert told(error, ours, part).count(part) == 2


@pytest.mark.parametrize("dataset", TABLES)
def test_a_key_that_comes_twice_is_told_with_both_lines(download, told, dataset):
    ours = download(dataset)
    ours.edit_table(lambda rows: rows.append(rows[2]))
    told(
        TableError,
        ours,
        " is already in line 3" if dataset != "mammo_mass" else " is already in line ",
        TABLES[dataset][1],
    )


def test_rows_without_image_and_images_without_row_are_told_together(download, told):
    for dataset in ("derm", "fundus"):
        ours = download(dataset, dataset)
        gone, rowless = ours.images()[:2]
        ours.edit_image(gone, None)
        stem = rowless.rpartition("/")[2].partition(".")[0]
        ours.edit_table(lambda rows, stem=stem: rows.remove(next(row for row in rows if row[0] == stem)))
        told(
            TableError,
            ours,
            "1 row without their image, 1 image without a row",
            f"{gone.rpartition('/')[2]} is missing",
            f"{rowless}: is not named in any table",
            "--allow-partial",
            partial=False,
        )


def test_a_lesion_without_files_and_files_without_a_row_are_told_together(download, told):
    ours = download("mammo_mass")
    path = ours.dicom()
    path.unlink()
    gone = []
    ours.edit_table(lambda rows: gone.extend(rows.pop()))
    told(TableError, ours, path.parents[2].name, "is missing", "is not named in any table", partial=False)


def test_an_image_that_is_in_no_tarball_is_told_and_the_others_are_kept(download, told, as_if_whole):
    ours = download("cxr")
    ours.edit_table(lambda rows: rows.append(["99999999_000.png", *rows[2][1:]]))
    members = ours.zip("CXR8.zip")
    ours.edit("CXR8.zip", **{"CXR8/test_list.txt": members["CXR8/test_list.txt"] + b"\n99999999_000.png"})
    part = "lacks 1 of 151 images"
    told(SourceNotFoundError, ours, part, "images/99999999_000.png: is in none", kept=True, partial=False)


def with_other_files(tarball, change):
    """Return a tarball with the contents of its files changed; what becomes None is left out."""
    file = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(tarball)) as packed, tarfile.open(fileobj=file, mode="w:gz") as tar:
        for info in packed:
            data = change(info.name, packed.extractfile(info).read()) if info.isfile() else b""
            if data is not None:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


@pytest.mark.parametrize("workers", [1, 2])
def test_tarballs_that_are_cut_images_that_lack_and_images_that_do_not_decode_are_told_together(
    download, told, as_if_whole, root, workers
):
    ours, name = download("cxr"), "CXR8/images/images_{:03}.tar.gz".format
    members = ours.zip("CXR8.zip")

    def without_a_file(tarball):
        return with_other_files(tarball, lambda file, data: None if file.endswith("_000.png") else data)

    bad = with_other_files(members[name(2)], lambda file, data: b"no image" if file.endswith("_001.png") else data)
    spoilt = {name(1): without_a_file(members[name(1)]), name(2): bad}
    ours.edit("CXR8.zip", **spoilt)
    parts = ["lacks ", " of 150 images", " of 150 samples of cxr cannot be rendered, so nothing was published"]
    parts += ["_000.png: is in none of the archives", "_001.png: is not an image that can be read"]
    with pytest.raises(SourceNotFoundError) as caught:
        mm.build("cxr", ours.folder, root, workers=workers, size=16)
    assert [part for part in parts if part not in str(caught.value)] == []
    cut = {name(number): members[name(number)][:-2000] for number in (3, 5)}
    ours.edit("CXR8.zip", **cut)
    with pytest.raises(DamagedSourceError, match="not all archives of images can be read") as caught:
        mm.build("cxr", ours.folder, root, workers=workers, size=16)
    told_now = "\n".join(caught.value.problems)
    assert [number for number in (3, 5) if f"{name(number)}: is cut short or damaged" not in told_now] == []
    assert "_001.png: is not an image that can be read" in told_now
    assert "is in none of the archives" not in told_now  # it may be in what cannot be read
    ours.repack("CXR8.zip", members)
    [report] = mm.build("cxr", ours.folder, root, workers=workers, size=16)
    assert report.samples == 150


def test_of_very_many_problems_the_first_are_shown_and_all_are_in_a_file(download, told, root):
    ours = download("fundus")
    members = ours.zip(f"{FUNDUS}.zip")
    gone = [member for member in ours.images() if "a. Training" in member][:18]
    named = {member: data for member, data in members.items() if member not in gone}
    more = {f"{FUNDUS}/1. Original Images/c. Testing Set/{number}.png": b"" for number in range(900, 907)}
    ours.repack(f"{FUNDUS}.zip", named | more)
    file = root / "fundus.problems.txt"
    message = told(TableError, ours, "18 rows without", "7 images without", "... and 5 more", str(file), partial=False)
    assert message.count("  - ") == 20
    listed = file.read_text().splitlines()
    assert len(listed) == 25
    assert [member for member in more if not any(member in line for line in listed)] == []


# DICOM files and volumes


def test_dicom_files_without_pixels_or_with_too_many_are_told_together(download, told):
    ours = download("mammo_mass")
    first, second = sorted(ours.folder.rglob("Mass-Training*_CC/*/*/1-1.dcm"))[:2]
    for path, change in (
        (first, lambda dataset: dataset.pop("PixelData")),
        (second, lambda dataset: dataset.update({"Rows": 20_000, "Columns": 20_000})),
    ):
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)
    told(
        DamagedSourceError,
        ours,
        "is a DICOM file without pixels",
        "is 20000x20000 pixels, more than the 100,000,000",
        kept=True,
    )


def test_boxes_that_do_not_fit_their_volumes_are_told_together(download, told):
    ours = download("organs_axial")
    name, files = "annotations for lits/annotations_of_training_set.zip", ("segmentation-0.txt", "segmentation-28.txt")
    for file in files:
        first, *others = ours.zip(name)[file].splitlines(keepends=True)
        organ, index, x_min, _, *rest = first.split()
        ours.edit(name, **{file: b" ".join([organ, index, x_min, b"480", *rest]) + b"\r\n" + b"".join(others)})
    message = told(TableError, ours, *files, "the box of liver (x ", "which has 48x44x40 voxels", "both downloads")
    assert message.count(" does not fit ") == 2


def test_a_volume_and_a_segmentation_that_are_cut_short_are_told_together(download, told):
    ours = download("organs_axial")
    members = ours.zip("Training_Batch1.zip")
    bad = ["Training Batch 1/volume-0.nii", "Training Batch 1/segmentation-2.nii"]
    ours.edit("Training_Batch1.zip", **{member: members[member][:-10] for member in bad})
    message = told(DamagedSourceError, ours, *bad, "its header tells of ", "Fetch it again")
    assert message.count("is cut short") == 2


# Names


def test_names_with_blanks_and_letters_of_all_kinds_do_no_harm(download, root):
    ours = download("derm", "Größe & 日本 (1)")
    odd = "ISIC & Ünï ☃ 1"
    member = ours.images()[0]
    data = ours.zip(f"{DERM}_Input.zip")[member]
    ours.edit_image(member, None)
    ours.edit_image(f"{DERM}_Input/{odd}.jpg", data)

    def rename(rows):
        next(row for row in rows if row[0] in member)[0] = odd

    ours.edit_table(rename)
    home = root / "meine Daten & ☃"
    [report] = mm.build("derm", ours.folder, home, workers=2, size=16, allow_partial=True)
    assert (report.left_out, report.samples) == ((), 70)
    assert mm.verify("derm", root=home).problems == ()
    assert f"{DERM}_Input/{odd}.jpg" in (home / "derm" / "annotations.csv").read_text(encoding="utf-8")


def test_a_name_of_all_kinds_of_letters_is_told_as_it_is(download, told):
    ours = download("derm", "Größe & 日本 (1)")
    odd = f"{DERM}_Input/ISIC & Ünï ☃ 1.jpg"
    ours.edit_image(odd, b"")
    told(TableError, ours, f"{odd}: is not named in any table", partial=False)
