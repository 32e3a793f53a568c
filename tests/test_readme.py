"""What the README says is so."""

import importlib.util
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch

import medimeta as mm

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_datasets_is_the_catalogue():
    spec = importlib.util.spec_from_file_location("readme_table", ROOT / "docs" / "readme_table.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.renewed(README) == README, "run `make docs`"


def test_the_python_example_runs(small_root, tmp_path):
    [code] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    (tmp_path / "example.py").write_text(code)
    (tmp_path / "data").symlink_to(small_root)  # it trains
    done = subprocess.run([sys.executable, "-W", "error", "example.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "AUROC" in done.stdout


def test_what_the_text_names_in_python_runs(built_root, tmp_path, monkeypatch):
    (tmp_path / "data").symlink_to(built_root)
    monkeypatch.chdir(tmp_path)
    section = README.split("## In Python\n")[1].split("\n## ")[0]
    text = re.sub(r"```.*?```", "", section, flags=re.DOTALL)
    named = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]
    calls = [code for code in named if re.search(r"\b(mm|torch)\.", code)]
    assert len(calls) >= 4
    names = {"mm": mm, "torch": torch, "dataset": mm.load("bus/case category")}
    for code in calls:
        if (call := re.match(r"mm\.Episodes\(.*?shots=(\d+), queries=(\d+)", code)) is not None:
            code = code.replace(f"shots={call[1]}, queries={call[2]}", "shots=2, queries=3")  # ours is a small stand-in
        exec(code, names)


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench"])
def test_make_has_what_the_readme_names(target):
    assert f"make {target}" in README
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_table_of_errata_has_the_datasets_whose_mistakes_a_build_repeats():
    section = README.split("## Errata of release 1.0\n")[1].split("\n## ")[0]
    named = re.findall(r"^\| `([a-z_*]+)` \|", section, re.MULTILINE)
    repeatable = {card.id for card in mm.datasets() if any(erratum.repeatable for erratum in card.errata)}
    assert {card.id for card in mm.datasets() if any(fnmatch(card.id, name) for name in named)} == repeatable
