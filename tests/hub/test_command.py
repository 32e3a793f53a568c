"""``medimeta download`` as people use it."""

import json
import subprocess
import sys

import pytest
from tests.hub import faults
from tests.hub.server import RECORD

import medimeta as mm
from medimeta.hub.attribution import attribution

BUS = f"{RECORD}/files/bus.zip/content"


@pytest.fixture
def mirror(server, releases):
    """Serve the archives of the synthetic release as the record has them."""
    server.record({path.name: path for path in sorted(releases.folder.iterdir())})
    return server


def test_a_download_ends_with_the_terms(command, mirror, tmp_path):
    root = tmp_path / "root"
    done = command("download", "bus,pbc", "--mirror", mirror.url(), "--root", root)
    assert done.code == 0, done.err
    for told in (
        f"from {mirror.url(BUS)}",
        "WARNING: ",
        f"bus: released under {mm.dataset('bus').released_licence}, https://creativecommons.org/",
        "cite: Al-Dhabyani et al. (2020). Dataset of breast ultrasound images",
        "medimeta show pbc --bibtex",
        f'Next: medimeta.load("bus", root="{root}")',
    ):
        assert told in done.out
    assert "bus: verifying" in done.err
    assert command("verify", "--deep", "--root", root).code == 0
    again = command("download", "bus", "pbc", "--mirror", mirror.url(), "--root", root)
    assert again.code == 0
    assert again.out.count("is there already and whole; nothing was fetched") == 2


def test_non_commercial_terms_are_said_plainly():
    assert (
        "NON-COMMERCIAL USE ONLY: CC-BY-NC-4.0 does not allow commercial use." in attribution(mm.dataset("derm")).text()
    )


def test_json_is_for_machines(command, mirror, tmp_path):
    mirror.always(BUS, faults.status(404))
    names = ["bus", "--task", "pbc/cell class"]
    done = command("download", *names, "--mirror", mirror.url(), "--root", tmp_path, "--json")
    assert done.code == 1
    said = json.loads(done.out)
    assert [each["dataset"] for each in said["datasets"]] == ["pbc"]
    assert "404" in said["failed"]["bus"]
    assert said["datasets"][0]["commercial_use"] is True


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ([], 2, "there is nothing to download"),
        (["buss"], 2, "unknown dataset 'buss'. Did you mean 'bus'"),
        (["--task", "nothing", "bus"], 2, "unknown task of bus"),
        (["bus", "--jobs", "9"], 2, "--jobs"),
        (["bus", "--mirror", "ftp://host"], 2, "a mirror is an http or https address, or a folder"),
        (["bus", "--from-dir", "none"], 2, "there is no such folder"),
        (["oct"], 1, "has no archive of oct. There is:\n  - bus.zip"),
    ],
)
def test_what_is_wrong_is_told(command, mirror, tmp_path, monkeypatch, arguments, code, told):
    monkeypatch.setenv("MEDIMETA_MIRROR", mirror.url())
    done = command("download", *arguments, "--root", tmp_path / "root")
    assert done.code == code
    assert told in done.err


def test_without_the_extra_the_hint_says_what_to_install(process, tmp_path):
    (tmp_path / "requests.py").write_text("raise ModuleNotFoundError(name='requests')")
    done = process("download", "bus", env={"PYTHONPATH": str(tmp_path)})
    assert done.returncode == 2
    assert "pip install 'medimeta[download]'" in done.stderr


def test_importing_needs_no_http(tmp_path):
    code = "import sys, medimeta, medimeta.cli.app; sys.exit('requests' in sys.modules or 'h5py' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
