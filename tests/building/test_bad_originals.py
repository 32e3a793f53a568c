"""An original that cannot be used is refused by name, with the way out; what is finished is kept, but not published."""

import re
import shutil
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medimeta.building import chunks, engine
from medimeta.errors import (
    CountMismatchError,
    DamagedSourceError,
    LabelError,
    SourceError,
    SourceNotFoundError,
)
from medimeta.sources import archive


def test_a_missing_path_is_told_before_the_root_is_made(refused, root, tmp_path):
    refused(SourceNotFoundError, "bus", tmp_path / "nosuch.zip", "nosuch.zip: there is no such file or folder", "Check")
    assert not root.exists()


def test_an_empty_folder_is_told_with_what_is_wanted(refused, root, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(SourceNotFoundError, "bus", tmp_path / "empty", "the BUSI dataset is not here", "Dataset_BUSI.zip")
    assert not root.exists()


def test_the_original_of_another_dataset_is_told(refused, pbc_tree):
    refused(SourceNotFoundError, "bus", pbc_tree, "the BUSI dataset is not here", "benign, malignant, normal")


def test_all_originals_are_found_before_the_first_is_built(refused, root, bus_tree):
    with pytest.raises(SourceNotFoundError, match=r"PBC_dataset_normal_DIB\.zip"):
        engine.build(["bus", "pbc"], bus_tree, root, workers=1, size=16, allow_partial=True)
    assert not root.exists()


def test_folders_without_images_are_told(refused, bus_tree):
    for file in bus_tree.rglob("*.png"):
        file.rename(file.with_suffix(".gif"))
    refused(SourceNotFoundError, "bus", bus_tree, "holds no image of bus")


def test_a_truncated_zip_is_told(refused, bus_tree, zip_of):
    path = Path(zip_of(bus_tree))
    path.write_bytes(path.read_bytes()[:-100])
    refused(DamagedSourceError, "bus", path, "packed.zip: is not a whole zip file", "bytes", "fetch it again")


def test_a_corrupted_member_is_named(refused, bus_tree, zip_of):
    path, member = Path(zip_of(bus_tree)), "Dataset_BUSI_with_GT/benign/benign (3).png"
    with zipfile.ZipFile(path) as packed:
        info = packed.getinfo(member)
    data = bytearray(path.read_bytes())
    data[info.header_offset + len(member) + 200] ^= 0xFF
    path.write_bytes(data)
    refused(
        DamagedSourceError,
        "bus",
        path,
        "1 of 12 samples",
        f"the member '{member}' is damaged",
        "Fetch the archive",
        done=11,
    )


@pytest.mark.parametrize("dataset", ["bus", "pbc"])
def test_an_image_that_stops_half_way_is_named(refused, request, dataset):
    file = sorted(request.getfixturevalue(f"{dataset}_tree").rglob("*_1.jpg" if dataset == "pbc" else "* (1).png"))[0]
    file.write_bytes(file.read_bytes()[:-300])
    name, length = f"{file.parent.name}/{file.name}", file.stat().st_size
    done = {"bus": 11, "pbc": 15}[dataset]
    refused(
        DamagedSourceError, dataset, file.parents[1], f"{name}: does not decode", f"{length:,} bytes", "kept", done=done
    )


def test_all_members_that_do_not_decode_are_listed_at_once(refused, bus_tree, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 2)
    bad = [
        "benign/benign (1).png",
        "benign/benign (4).png",
        "malignant/malignant (2)_mask.png",
        "normal/normal (4).png",
    ]
    for name in bad:
        (bus_tree / name).write_text("a page that asks for a password")
    message = refused(DamagedSourceError, "bus", bus_tree, "4 of 12 samples of bus cannot be rendered", done=8)
    assert re.findall(r"  - .*: (.*): is not an image that can be read \(31 bytes\)", message) == bad


def test_of_very_many_problems_the_first_are_listed_and_the_rest_are_in_a_file(refused, build, pbc_tree, picture, root):
    bad = [pbc_tree / "ig" / f"ig_{number}.jpg" for number in range(3, 30)]
    for file in bad:
        file.write_bytes(b"")
    file = root / "pbc.problems.txt"
    message = refused(
        DamagedSourceError,
        "pbc",
        pbc_tree,
        "27 of 43 samples",
        "... and 7 more",
        f"All 27 are listed in {file}.",
        done=16,
        listed=True,
    )
    assert message.count("  - ") == 20
    lines = file.read_text().splitlines()
    assert [line for line in lines if line not in message] == lines[20:]
    assert sorted(re.findall(r"ig_\d+\.jpg", "\n".join(lines))) == sorted(path.name for path in bad)
    for path in bad:
        path.write_bytes(picture("JPEG"))
    build("pbc", pbc_tree)
    assert not file.exists()


def test_a_class_that_the_card_does_not_know_is_told_with_its_samples(refused, pbc_tree, picture):
    (pbc_tree / "blast").mkdir()
    for number in (1, 2):
        (pbc_tree / "blast" / f"BL_{number}.jpg").write_bytes(picture("JPEG"))
    refused(
        LabelError,
        "pbc",
        pbc_tree,
        "2 labels of pbc are not on its card",
        "blast/BL_1.jpg: cell class: unknown label 'blast'; known: 'neutrophil'",
        "blast/BL_2.jpg",
    )


def test_an_extra_folder_of_images_is_told(refused, bus_tree, picture):
    (bus_tree / "cyst").mkdir()
    (bus_tree / "cyst" / "cyst (1).png").write_bytes(picture())
    refused(LabelError, "bus", bus_tree, "cyst: is no class of bus; expected benign, malignant, normal")


def test_an_extra_folder_without_images_does_not_matter(build, bus_tree):
    (bus_tree / "papers").mkdir()
    (bus_tree / "papers" / "read me.pdf").write_bytes(b"%PDF")
    assert build("bus", bus_tree).samples == 12


def test_all_images_without_a_mask_and_masks_without_an_image_are_listed(refused, bus_tree):
    (bus_tree / "benign" / "benign (2)_mask.png").unlink()
    (bus_tree / "benign" / "benign (3)_mask.png").unlink()
    (bus_tree / "benign" / "benign (4).png").unlink()
    refused(
        SourceNotFoundError,
        "bus",
        bus_tree,
        "benign/benign (2).png: has no mask",
        "benign/benign (3).png: has no mask",
        "benign/benign (4)_mask.png: is the mask of an image that is missing",
    )


def test_masks_of_another_size_than_their_image_are_built_and_told(build, bus_tree, picture):
    """The release pads every mask by itself, so such a mask is odd, but no reason to refuse the whole original."""
    (bus_tree / "normal" / "normal (1)_mask.png").write_bytes(picture(size=(20, 30), mode="1"))
    report = build("bus", bus_tree)
    assert report.warnings == (f"{bus_tree}: normal/normal (1)_mask.png: is 20x30 pixels, its image 40x30",)
    assert report.warnings[0] in report.text()
    assert report.as_dict()["warnings"] == list(report.warnings)


def test_other_counts_than_the_release_has_are_told_with_the_way_out(refused, bus_tree):
    refused(
        CountMismatchError,
        "bus",
        bus_tree,
        "samples: total has 12, expected 780",
        "samples: train has 8, expected 546",
        "samples: val has 1, expected 78",
        "samples: test has 3, expected 156",
        "original splits: train has 12, expected 780",
        "pass --allow-partial (allow_partial=True)",
        flags=(),
        allow_partial=False,
    )


@pytest.mark.parametrize("name", ["../evil.png", "/evil.png", "C:\\evil.png", "..\\..\\evil.png"])
def test_a_zip_whose_members_lead_out_of_it_is_refused(refused, bus_tree, zip_of, picture, tmp_path, name):
    path = zip_of(bus_tree)
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr(zipfile.ZipInfo(name), picture())
    refused(DamagedSourceError, "bus", path, f"the member {name!r} leads out of the archive. Do not trust it")
    assert list(tmp_path.rglob("evil.png")) == []


def test_a_link_that_leads_out_of_the_folder_is_refused(refused, bus_tree, picture, tmp_path):
    (tmp_path / "private.png").write_bytes(picture())
    (bus_tree / "benign" / "benign (1).png").unlink()
    (bus_tree / "benign" / "benign (1).png").symlink_to(tmp_path / "private.png")
    refused(DamagedSourceError, "bus", bus_tree, "benign (1).png: is a link that leads out of", "replace it", done=11)


def test_a_link_to_itself_is_told(refused, bus_tree):
    (bus_tree / "benign" / "benign (1).png").unlink()
    (bus_tree / "benign" / "benign (1).png").symlink_to("benign (1).png")
    refused(DamagedSourceError, "bus", bus_tree, "benign (1).png", done=11)


def test_a_decompression_bomb_is_refused(refused, bus_tree, picture):
    data = bytearray(picture())
    data[16:24] = (50_000).to_bytes(4, "big") * 2  # width and height
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (bus_tree / "benign" / "benign (1).png").write_bytes(data)
    refused(DamagedSourceError, "bus", bus_tree, "benign/benign (1).png: is too large to be an original", done=11)


def test_a_member_larger_than_any_original_has_is_refused(refused, bus_tree, zip_of, root, monkeypatch):
    (bus_tree / "normal" / "normal (2).png").write_bytes(bytes(10_000))
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 9_999)
    for source in (bus_tree, zip_of(bus_tree)):
        told = "normal/normal (2).png: is 10,000 bytes long, more than the 9,999"
        refused(DamagedSourceError, "bus", source, told, done=11)
        shutil.rmtree(root)


def test_an_image_in_a_colour_space_that_cannot_be_converted_is_named(refused, bus_tree):
    Image.frombytes("LAB", (40, 30), bytes(3600)).save(bus_tree / "benign" / "benign (1).png", "TIFF")
    refused(DamagedSourceError, "bus", bus_tree, "benign/benign (1).png", "LAB", done=11)


def test_an_image_of_16_bits_is_named(refused, bus_tree):
    """Pillow would cut the lower, or the upper, bits off without a word."""
    file = bus_tree / "benign" / "benign (1).png"
    Image.fromarray(np.full((30, 40), 51_000, np.uint16)).save(file)
    refused(DamagedSourceError, "bus", bus_tree, "benign/benign (1).png: has colour mode I;16", "8 bits", done=11)


def test_a_file_name_that_is_no_unicode_is_told(refused, bus_tree):
    folder = bus_tree / "benign"
    try:
        for ending in (".png", "_mask.png"):
            (folder / f"benign (1){ending}").rename(folder / f"caf\udce9{ending}")  # the byte that Latin-1 has for é
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    refused(SourceError, "bus", bus_tree, "caf")
