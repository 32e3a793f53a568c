"""What a build would do, told without building; and the TIFF files that it may write besides."""

import json
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

import medimeta as mm
from medimeta.building.dry_run import plan_build
from medimeta.cli.boundary import run
from medimeta.errors import CountMismatchError, LabelError, SourceNotFoundError, UsageError
from medimeta.recipes.bus import Bus


@pytest.fixture
def plan(root):
    """Plan a build of one dataset."""

    def plan(dataset, source, **changes):
        [plan] = plan_build(dataset, source, root, **{"size": 16, "allow_partial": True} | changes)
        return plan

    return plan


@pytest.fixture
def dry_run(root, bus_tree, capsys):
    """Call the command, and return exit code and what it said."""

    def call(*flags, dataset="bus", source=bus_tree):
        common = ["--source", str(source), "--root", str(root), "--size", "16", "--dry-run"]
        code = run(["build", dataset, *common, *flags])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


@pytest.fixture
def free(monkeypatch):
    """Say how many bytes the disk has left."""

    def free(count):
        monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(count, 0, count))

    return free


def size_of(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


# Dry runs


def test_a_plan_reads_no_image_and_writes_nothing(plan, bus_tree, root, monkeypatch):
    def render(*_):
        raise AssertionError("a pixel was read")

    monkeypatch.setattr(Bus, "render", render)
    for image in bus_tree.rglob("*.png"):
        image.write_bytes(b"")
    found = plan("bus", bus_tree)
    assert (found.dataset, found.samples, found.splits) == ("bus", 12, {"train": 8, "val": 1, "test": 3})
    assert (found.folder, found.source, found.exists, found.fits) == (root / "bus", bus_tree, False, True)
    assert found.departures[0] == "samples: total has 12, expected 780"
    assert not root.exists()


@pytest.mark.parametrize("tiff", [False, True])
@pytest.mark.parametrize("dataset", ["bus", "pbc"])
def test_a_plan_tells_what_the_build_then_does(plan, build, request, root, dataset, tiff):
    tree = request.getfixturevalue(f"{dataset}_tree")
    found = plan(dataset, tree, size=64, tiff=tiff)
    report = build(dataset, tree, size=64, tiff=tiff)
    for name in ("dataset", "folder", "samples", "splits", "size", "departures", "dropped", "left_out"):
        assert getattr(found, name) == getattr(report, name)
    assert 0.5 * found.needed_bytes < size_of(root / dataset) <= found.needed_bytes + 8192  # what has no samples
    assert plan(dataset, tree).exists


def test_a_plan_is_refused_as_the_build_is(plan, bus_tree, pbc_tree, picture, root, without_recipe):
    with pytest.raises(CountMismatchError, match="samples: total has 12, expected 780"):
        plan("bus", bus_tree, allow_partial=False)
    with pytest.raises(SourceNotFoundError, match="the BUSI dataset is not here"):
        plan("bus", pbc_tree)
    with pytest.raises(UsageError, match="size must be"):
        plan("bus", bus_tree, size=1)
    with pytest.raises(UsageError, match="cannot be built yet"):
        plan(without_recipe, bus_tree)
    (pbc_tree / "blast").mkdir()
    (pbc_tree / "blast" / "BL_1.jpg").write_bytes(picture("JPEG"))
    with pytest.raises(LabelError, match="unknown label 'blast'"):
        plan("pbc", pbc_tree)
    assert not root.exists()


def test_the_command_tells_the_plan_to_people(dry_run, build, free, bus_tree, root):
    free(5_000_000_000)
    code, out, err = dry_run("--allow-partial")
    assert (code, err) == (0, "")
    first, second, third, fourth, fifth, *_ = out.splitlines()
    assert first == "bus: would build 12 images of 16x16 (8 train, 1 val, 3 test)"
    assert second == f"  from {bus_tree}"
    assert third == f"  into {root / 'bus'}"
    assert fourth == "  needs 0.1 MB, 5.0 GB are free"
    assert fifth == "  counts depart from the release's:"
    assert "  - samples: total has 12, expected 780" in out
    assert not root.exists()
    build("bus", bus_tree)
    assert f"  into {root / 'bus'}, which is there already (--overwrite replaces it)" in dry_run("--allow-partial")[1]


def test_the_command_tells_the_plan_to_machines(dry_run, bus_tree, root, free):
    free(10**10)
    code, out, err = dry_run("--allow-partial", "--json", "--tiff")
    assert (code, err) == (0, "")
    [found] = json.loads(out)
    assert found == {
        "dataset": "bus",
        "folder": str(root / "bus"),
        "source": str(bus_tree),
        "exists": False,
        "samples": 12,
        "splits": {"train": 8, "val": 1, "test": 3},
        "size": 16,
        "needed_bytes": 12 * (256 + 1024 + 2 * (256 + 4096)),
        "free_bytes": 10**10,
        "fits": True,
        "departures": found["departures"],
        "dropped": [],
        "left_out": [],
    }
    assert len(found["departures"]) == 6


def test_the_command_says_what_keeps_a_build_from_starting(dry_run, root):
    code, out, err = dry_run()
    assert (code, out) == (1, "")
    assert "error: " in err
    assert "samples: total has 12, expected 780" in err
    assert not root.exists()


@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_too_little_room_is_told_by_text_and_exit_code(dry_run, free, json_flag):
    free(12 * (256 + 1024 + 256 + 4096))
    assert dry_run("--allow-partial", *json_flag)[0] == 0
    free(12 * (256 + 1024 + 256 + 4096) - 1)
    code, out, _ = dry_run("--allow-partial", *json_flag)
    assert code == 1
    assert json.loads(out)[0]["fits"] is False if json_flag else "are free: TOO LITTLE" in out


def test_datasets_that_fit_alone_but_not_together_are_told(dry_run, free, bus_tree, pbc_tree):
    needed = 12 * (256 + 1024 + 256 + 4096) + 16 * (768 + 1024)
    free(needed)
    code, out, _ = dry_run("--allow-partial", dataset="bus,pbc", source=bus_tree.parent)
    assert (code, "TOO LITTLE" in out) == (0, False)
    free(needed - 1)
    code, out, _ = dry_run("--allow-partial", dataset="bus,pbc", source=bus_tree.parent)
    assert code == 1
    assert out.splitlines()[-1] == "together they need 0.1 MB, 0.1 MB are free: TOO LITTLE"
    assert out.count("TOO LITTLE") == 1


# TIFF files


@pytest.mark.parametrize(("dataset", "mode", "count"), [("bus", "L", 12), ("pbc", "RGB", 16)])
def test_tiff_files_hold_the_pixels_of_the_images(build, request, root, tmp_path, dataset, mode, count):
    tree = request.getfixturevalue(f"{dataset}_tree")
    report = build(dataset, tree, tiff=True)
    images = mm.load_arrays(dataset, root=root).images
    folder = root / dataset / "images"
    assert sorted(path.name for path in folder.iterdir()) == [f"{index:06d}.tiff" for index in range(count)]
    for index in range(count):
        with Image.open(folder / f"{index:06d}.tiff") as image:
            assert (image.format, image.mode, image.info["compression"]) == ("TIFF", mode, "raw")
            assert np.array_equal(np.asarray(image), images[index])
    manifest = json.loads((root / dataset / "manifest.json").read_text())
    assert manifest["settings"] == {"size": 16, "tiff": True}
    assert {name for name in manifest["files"] if name.startswith("images/")} == {
        f"images/{index:06d}.tiff" for index in range(count)
    }
    assert mm.verify(dataset, root=root, deep=True).ok
    plain = build(dataset, tree, root=tmp_path / "plain")
    assert plain.fingerprint == report.fingerprint
    assert not (tmp_path / "plain" / dataset / "images").exists()
    assert yaml.safe_load((root / dataset / "info.yaml").read_text())["id"] == dataset


def test_a_tiff_file_that_changed_is_found(build, bus_tree, root):
    build("bus", bus_tree, tiff=True)
    Image.new("L", (16, 16)).save(root / "bus" / "images" / "000003.tiff")
    assert any("images/000003.tiff" in problem for problem in mm.verify("bus", root=root).problems)


def test_the_command_writes_tiff_files(bus_tree, root, capsys):
    arguments = ["--source", str(bus_tree), "--root", str(root), "--size", "16", "--workers", "1", "--allow-partial"]
    assert run(["build", "bus", *arguments, "--tiff"]) == 0
    assert len(list((root / "bus" / "images").glob("*.tiff"))) == 12
