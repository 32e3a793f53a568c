"""``verify``: whole datasets leave with 0, damaged ones with 1, wrong use with 2."""

import json

import pytest
import typer

from medimeta.cli.options import device_count, numbers, words
from medimeta.store.manifest import DownloadOrigin, read_manifest, write_manifest


@pytest.mark.parametrize("names", [[], ["bus", "pbc"], ["bus,pbc"], ["BUS, pbc,"]], ids=" ".join)
def test_whole_datasets_are_told_and_leave_with_0(command, built_root, names):
    done = command("verify", *names, "--root", built_root)
    assert (done.code, done.err) == (0, "")
    assert f"bus: whole, 30 samples: {built_root / 'bus'}" in done.out
    assert f"pbc: whole, 80 samples: {built_root / 'pbc'}" in done.out
    assert "built from a part of the original" in done.out


def test_deep_says_that_every_file_was_hashed(command, built_root):
    assert "bus: whole, 30 samples, every file hashed" in command("verify", "bus", "--deep", "--root", built_root).out


def test_damage_leaves_with_1_and_names_the_file(command, damaged_root):
    done = command("verify", "--root", damaged_root)
    assert (done.code, done.err) == (1, "")
    assert "pbc: whole" in done.out
    assert "bus: " in done.out
    assert "malignancy.npy: is missing" in done.out
    assert command("verify", "pbc", "--root", damaged_root).code == 0


def test_reports_for_machines_have_the_problems(command, damaged_root):
    done = command("verify", "--json", "--root", damaged_root)
    bus, pbc = json.loads(done.out)
    assert (done.code, done.err) == (1, "")
    assert (bus["dataset"], bus["ok"], pbc["dataset"], pbc["ok"]) == ("bus", False, "pbc", True)
    assert any("malignancy.npy" in problem for problem in bus["problems"])


def test_what_no_longer_reads_at_all_is_a_problem_too(command, damaged_root):
    (damaged_root / "bus" / "images.hdf5").write_bytes(b"cut")
    (damaged_root / "pbc" / "info.yaml").write_text("{")
    done = command("verify", "--root", damaged_root)
    assert done.code == 1
    assert "bus: 1 problem, 0 samples" in done.out
    assert "pbc: 1 problem, 0 samples" in done.out


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (
            ["oct"],
            1,
            "oct: is not there (under {root} there is bus, pbc). Build it with: medimeta build oct --source PATH",
        ),
        (["buss"], 2, "unknown dataset 'buss'. Did you mean 'bus'"),
        (["bus", "nosuch"], 2, "unknown dataset 'nosuch'"),
    ],
)
def test_a_dataset_that_is_not_there_is_told(command, small_root, names, code, message):
    done = command("verify", *names, "--root", small_root)
    assert (done.code, done.out) == (code, "")
    assert message.format(root=small_root) in done.err


@pytest.mark.parametrize("kind", ["missing", "empty", "file"])
def test_a_root_without_datasets_is_told(command, tmp_path, kind):
    root = tmp_path / "root"
    if kind == "empty":
        root.mkdir()
    elif kind == "file":
        root.write_text("no folder")
    done = command("verify", "--root", root)
    assert (done.code, done.out) == (1, "")
    assert done.err == f"error: {root}: there is no dataset here. Pass --root, or build one first.\n"


@pytest.mark.parametrize("verb", [["verify", ","], ["build", " , ", "--source", "."]], ids=lambda verb: verb[0])
def test_a_list_that_names_nothing_is_wrong_use(command, built_root, verb):
    done = command(*verb, "--root", built_root)
    assert done.code == 2
    assert done.err != ""


def test_the_root_comes_from_the_option_then_the_environment_then_the_folder(
    command, built_root, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDIMETA_ROOT", str(built_root))
    assert command("verify", "bus").code == 0
    assert f"{tmp_path}/x/bus" in command("verify", "bus", "--root", tmp_path / "x").err
    for unset in (lambda: monkeypatch.setenv("MEDIMETA_ROOT", ""), lambda: monkeypatch.delenv("MEDIMETA_ROOT")):
        unset()
        assert command("verify", "bus").err.startswith("error: data/bus: is not there")
    (tmp_path / "data").symlink_to(built_root)
    assert command("verify", "bus").code == 0


def test_lists_are_separated_by_commas_or_repeated_and_name_each_thing_once():
    assert words(["bus,pbc", " oct ", "", "bus"]) == ["bus", "pbc", "oct"]
    assert words(None, ["resnet18"]) == words([","], ["resnet18"]) == ["resnet18"]
    assert numbers(["0,1", "2"], [7], "--seeds") == [0, 1, 2]
    assert numbers(None, [7], "--seeds") == [7]


@pytest.mark.parametrize(("value", "count"), [("auto", "auto"), ("1", 1), ("16", 16)])
def test_devices_are_counted_or_left_to_the_machine(value, count):
    assert device_count(value) == count


@pytest.mark.parametrize("value", ["0", "-1", "all", "", "1.5", "²"])
def test_numbers_of_devices_that_make_no_sense_are_wrong_use(value):
    with pytest.raises(typer.BadParameter, match="expected a whole number from 1 to 1,024, or auto"):
        device_count(value)


def test_several_damaged_downloads_are_named_in_one_command(command, damaged_root):
    root = damaged_root.rename(damaged_root.with_name("my root"))
    for name in ("bus", "pbc"):
        manifest = read_manifest(root / name)
        origin = DownloadOrigin(record="r", url="u", archive="a", bytes=1, checksum="", date="2026-11-27")
        write_manifest(root / name, manifest.model_copy(update={"download": origin}))
    assert "To fetch anew" not in command("verify", "--deep", "--root", root).out
    (root / "pbc" / "splits" / "val.txt").unlink()
    done = command("verify", "--deep", "--root", root)
    assert done.code == 1
    assert done.out.endswith(f"To fetch anew: medimeta download bus pbc --overwrite --root '{root}'\n")
    reports = json.loads(command("verify", "--deep", "--json", "--root", root).out)
    assert [report["fetch_anew"] for report in reports] == [True, True]
