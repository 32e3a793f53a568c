"""What a good build makes of an original, and what it says of it."""

import io
import json
import os
import re
import zipfile

import numpy as np
import pytest
import yaml
from PIL import Image

import medimeta as mm
from medimeta.building import chunks
from medimeta.building.plan import make_plans
from medimeta.catalogue.schema import Samples
from medimeta.cli.boundary import run
from medimeta.errors import UnknownNameError, UsageError
from medimeta.recipes.recipe import Options, recipe_of
from medimeta.sources.find import open_archive
from medimeta.store.reader import open_dataset


def rows(root, dataset):
    return list(open_dataset(dataset, root).annotations())


def test_a_partial_build_says_so_in_report_and_manifest(build, bus_tree, root):
    report = build("bus", bus_tree)
    manifest = json.loads((root / "bus" / "manifest.json").read_text())
    assert manifest["partial"] is True
    assert tuple(manifest["departures"]) == report.departures
    assert report.departures[0] == "samples: total has 12, expected 780"
    assert manifest["samples"] == report.samples == sum(report.splits.values()) == 12
    assert manifest["settings"] == {"size": 16}
    assert "built from a part of the original" in mm.verify("bus", root=root).remarks[0]


def test_an_original_with_the_counts_of_the_release_departs_in_nothing(bus_tree):
    card = mm.dataset("bus").model_copy(
        update={
            "samples": Samples(total=12, train=8, val=1, test=3),
            "original_samples": Samples(total=12, train=12, val=0, test=0),
        }
    )
    [plan] = make_plans([card], recipe_of(card), open_archive(bus_tree), Options(allow_partial=False))
    assert plan.departures == ()


def test_the_report_is_for_people_and_for_machines(build, bus_tree, root):
    report = build("bus", bus_tree)
    first, *rest = report.text().splitlines()
    assert re.fullmatch(
        rf"bus: 12 images of 16x16 \(8 train, 1 val, 3 test\) in \d+\.\d s, [\d,]+ images/s, verified: {root / 'bus'}",
        first,
    )
    assert rest[:3] == [
        "  colour mode converted: 12 from RGB",
        "  12 mask files",
        "  built from a part of the original, as the manifest records:",
    ]
    values = json.loads(json.dumps(report.as_dict()))
    assert values["splits"] == {"train": 8, "val": 1, "test": 3}
    assert values["converted"] == {"RGB": 12}
    assert re.fullmatch("[0-9a-f]{64}", values["fingerprint"])


@pytest.mark.parametrize(("size", "enlarged"), [(16, 0), (30, 0), (31, 1), (64, 2)])
def test_images_of_every_size_are_asked_for_and_small_originals_counted(build, pbc_tree, picture, root, size, enlarged):
    """An image counts as enlarged when its cropped square is smaller than what is stored."""
    sides = [(30, 47), (61, 33)] + [(90, 80)] * 14
    for seed, (file, side) in enumerate(zip(sorted(pbc_tree.rglob("*.jpg")), sides, strict=True)):
        file.write_bytes(picture("JPEG", size=side, seed=seed))
    report = build("pbc", pbc_tree, size=size)
    assert report.enlarged == enlarged
    assert mm.load_arrays("pbc", root=root).images.shape == (16, size, size, 3)
    assert yaml.safe_load((root / "pbc" / "info.yaml").read_text())["input_size"] == [3, size, size]
    assert [row["original_image_size"] for row in rows(root, "pbc")] == [f"{width}x{height}" for width, height in sides]


@pytest.mark.parametrize("size", [7, 0, -224, 4097, 224.5, "224", 64.0])
def test_sizes_that_make_no_sense_are_refused(build, bus_tree, root, size):
    with pytest.raises(UsageError, match="size must be"):
        build("bus", bus_tree, size=size)
    assert not root.exists()


@pytest.mark.parametrize("workers", [0, -1, 5000])
def test_numbers_of_workers_that_make_no_sense_are_refused(build, bus_tree, root, workers):
    with pytest.raises(UsageError, match="workers must be 1 to 1024"):
        build("bus", bus_tree, workers=workers)
    assert not root.exists()


@pytest.mark.parametrize(
    ("dataset", "error", "message"),
    [
        ("bsu", UnknownNameError, "unknown dataset 'bsu'. Did you mean 'bus'"),
        (["bus", "nosuch"], UnknownNameError, "unknown dataset 'nosuch'"),
    ],
)
def test_datasets_that_cannot_be_built_are_refused(bus_tree, root, dataset, error, message):
    with pytest.raises(error, match=message):
        mm.build(dataset, bus_tree, root, workers=1)
    assert not root.exists()


def test_a_dataset_without_a_recipe_is_refused_before_the_root_is_made(bus_tree, root, without_recipe):
    with pytest.raises(UsageError, match=r"oct \(OCT\) cannot be built yet: this version has no recipe for it"):
        mm.build([without_recipe, "bus"], bus_tree, root, workers=1)
    assert not root.exists()


def test_a_dataset_named_twice_is_built_once(bus_tree, root):
    reports = mm.build(["bus", "BUS"], bus_tree, root, workers=1, size=16, allow_partial=True)
    assert [report.dataset for report in reports] == ["bus"]


def reopened(file):
    return Image.open(io.BytesIO(file.read_bytes()))


def as_palette(image):
    return image.convert("P"), {}


def as_palette_with_alpha(image):
    return image.convert("P"), {"transparency": bytes(range(256))}


def as_mode(mode):
    def convert(image):
        return image.convert(mode), {}

    convert.__name__ = mode
    return convert


@pytest.mark.parametrize(
    "change",
    [as_palette, as_palette_with_alpha, *map(as_mode, ["1", "L", "LA", "RGB", "RGBA"])],
    ids=lambda change: change.__name__,
)
@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
def test_images_in_other_modes_are_converted_as_pillow_does_and_counted(build, bus_tree, root, change):
    """Malformed or re-saved copies come in every mode that a PNG may have."""
    file = bus_tree / "benign" / "benign (1).png"
    image, options = change(reopened(file))
    image.save(file, **options)
    mode = reopened(file).mode
    report = build("bus", bus_tree, size=40)
    assert report.converted == ({"RGB": 12} if mode == "RGB" else {"RGB": 11} | ({mode: 1} if mode != "L" else {}))
    expected = np.zeros((40, 40), np.uint8)
    expected[5:35] = np.asarray(reopened(file).convert("L"))
    assert np.array_equal(mm.load_arrays("bus", root=root).images[0], expected)


@pytest.mark.parametrize("mode", ["CMYK", "L", "RGB"])
def test_jpegs_in_other_modes_are_converted_as_pillow_does_and_counted(build, pbc_tree, picture, root, mode):
    file = pbc_tree / "basophil" / "basophil_1.jpg"
    file.write_bytes(picture("JPEG", size=(32, 32), mode=mode))
    assert build("pbc", pbc_tree, size=32).converted == ({} if mode == "RGB" else {mode: 1})
    expected = np.asarray(reopened(file).convert("RGB"))
    assert np.array_equal(mm.load_arrays("pbc", root=root).images[0], expected)


def test_extensions_may_be_in_any_case(build, bus_tree, pbc_tree, root):
    for file in [*bus_tree.rglob("*.png"), *pbc_tree.rglob("*.jpg")]:
        file.rename(file.with_suffix({".png": ".PNG", ".jpg": ".Jpeg"}[file.suffix]))
    assert build("bus", bus_tree).samples == 12
    assert build("pbc", pbc_tree).samples == 16
    assert rows(root, "bus")[0]["original_filepath"] == "benign/benign (1).PNG"


def test_a_zip_packed_with_the_separators_of_windows_is_built(build, bus_tree, root, tmp_path, contents):
    with zipfile.ZipFile(tmp_path / "windows.zip", "w") as packed:
        for file in bus_tree.rglob("*.png"):
            packed.writestr(
                zipfile.ZipInfo(str(file.relative_to(bus_tree.parent)).replace("/", "\\")), file.read_bytes()
            )
    build("bus", tmp_path / "windows.zip", root=tmp_path / "again")
    build("bus", bus_tree)
    assert contents(tmp_path / "again") == contents(root)


def test_what_file_managers_leave_behind_is_not_built(build, bus_tree, pbc_tree, tmp_path):
    clean = [build("bus", bus_tree).fingerprint, build("pbc", pbc_tree).fingerprint]
    for tree, ending in ((bus_tree, "png"), (pbc_tree, "jpg")):
        folder = sorted(path for path in tree.iterdir())[0]
        for name in (f"._a.{ending}", "Thumbs.db", ".DS_Store", f".DS_169665.{ending}", "desktop.ini", "notes.txt"):
            (folder / name).write_bytes(b"\x00\x05\x16\x07")
        (tree / "__MACOSX" / folder.name).mkdir(parents=True)
        (tree / "__MACOSX" / folder.name / f"b.{ending}").write_bytes(b"\x00")
        (tree / f"overview.{ending}").write_bytes(b"\x00")
    again = [build(name, tmp_path, root=tmp_path / "again").fingerprint for name in ("bus", "pbc")]
    assert again == clean


def test_the_order_in_which_the_system_lists_a_folder_does_not_matter(
    build, bus_tree, root, tmp_path, contents, monkeypatch
):
    build("bus", bus_tree)
    real = os.walk

    def walk(top, *arguments, **options):
        for folder, folders, files in real(top, *arguments, **options):
            folders.sort(reverse=True)
            yield folder, folders, sorted(files, reverse=True)

    monkeypatch.setattr(os, "walk", walk)
    build("bus", bus_tree, root=tmp_path / "again")
    assert contents(tmp_path / "again") == contents(root)


def test_samples_are_in_the_order_of_plain_strings_with_renamed_folders_in_their_place(
    build, bus_tree, pbc_tree, root, picture
):
    for ending in ("", "_mask"):
        (bus_tree / "benign" / f"benign (10){ending}.png").write_bytes(picture(mode="1"))
    build("bus", bus_tree)
    build("pbc", pbc_tree)
    assert [row["original_filepath"] for row in rows(root, "bus")][:3] == [
        "benign/benign (1).png",
        "benign/benign (10).png",
        "benign/benign (2).png",
    ]
    assert [row["original_filepath"] for row in rows(root, "pbc")][::2] == [
        "basophil/basophil_1.jpg",
        "eosinophil/eosinophil_1.jpg",
        "erythroblast/erythroblast_1.jpg",
        "immature granulocyte/ig_1.jpg",
        "lymphocyte/lymphocyte_1.jpg",
        "monocyte/monocyte_1.jpg",
        "neutrophil/neutrophil_1.jpg",
        "platelet/platelet_1.jpg",
    ]


def test_the_manifest_tells_nothing_of_the_machine(build, bus_tree, root, tmp_path):
    build("bus", bus_tree)
    text = (root / "bus" / "manifest.json").read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["sources"][0]["members"] == 24


def test_chunks_do_not_show_in_the_result(build, bus_tree, root, tmp_path, contents, monkeypatch):
    build("bus", bus_tree)
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 5)
    build("bus", bus_tree, root=tmp_path / "again")
    assert contents(tmp_path / "again") == contents(root)


def test_the_command_builds_several_datasets_and_reports_each(bus_tree, pbc_tree, root, capsys):
    arguments = [
        "--source",
        str(bus_tree.parent),
        "--root",
        str(root),
        "--size",
        "64",
        "--workers",
        "1",
        "--allow-partial",
    ]
    assert run(["build", "bus,pbc", *arguments]) == 0
    out = capsys.readouterr().out
    assert "bus: 12 images of 64x64 (8 train, 1 val, 3 test)" in out
    assert "12 originals were smaller than 64 pixels and were enlarged" in out
    assert "pbc: 16 images of 64x64" in out
    assert run(["build", "bus", "pbc", *arguments, "--overwrite", "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)
    assert [(report["dataset"], report["samples"], report["size"]) for report in reports] == [
        ("bus", 12, 64),
        ("pbc", 16, 64),
    ]
