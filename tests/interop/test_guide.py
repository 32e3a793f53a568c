"""The examples of docs/interop.md run, in the environment that they need."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "interop.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(<!-- needs: torchcross -->\n)?```python\n(.*?)```", GUIDE, re.DOTALL)


def here(code, folder):
    (folder / "example.py").write_text(code)
    done = subprocess.run([sys.executable, "-W", "error", "example.py"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_examples_run(built_root, tmp_path):
    (tmp_path / "data").symlink_to(built_root)
    here("\n".join(code for needs, code in BLOCKS if not needs), tmp_path)


def test_the_example_of_packing_packs(release, tmp_path):
    [code] = [code for _, code in BLOCKS if "import pack" in code]
    shutil.copytree(release.colour.folder, tmp_path / "data" / "pbc")
    (tmp_path / "data" / "pbc" / "images.hdf5").unlink()
    here(code, tmp_path)
    assert (tmp_path / "data" / "pbc" / "images.hdf5").read_bytes()


@pytest.mark.released
@pytest.mark.parametrize("code", [code for needs, code in BLOCKS if needs])
def test_examples_with_torchcross_run(with_torchcross, tiny_root, tmp_path, code):
    (tmp_path / "data").symlink_to(tiny_root)
    (tmp_path / "example.py").write_text(code)
    with_torchcross.plain(tmp_path / "example.py", cwd=tmp_path)


def test_the_guide_has_examples_of_both_kinds():
    needs = [bool(needs) for needs, _ in BLOCKS]
    assert (needs.count(False), needs.count(True)) == (3, 2)
    assert GUIDE.count("```python") == len(BLOCKS)
