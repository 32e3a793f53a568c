"""The examples of docs/metrics.md run, and what its table names is there."""

import dataclasses
import doctest
import re
from pathlib import Path

from medimeta.cli.boundary import run
from medimeta.learning.metrics import FIGURES, ClassScores

GUIDE = Path(__file__).parent.parent / "docs" / "metrics.md"
TEXT = GUIDE.read_text(encoding="utf-8")


def test_the_examples_of_the_guide_run(built_root, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").symlink_to(built_root)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert all(block.startswith(">>> ") for block in blocks)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, GUIDE.name, str(GUIDE), 0)
    found = doctest.DocTestRunner().run(test)
    assert found.attempted >= 30
    assert found.failed == 0, capsys.readouterr().out
    [command] = re.findall(r"^medimeta (evaluate mine.npz .*)$", TEXT, re.MULTILINE)
    task = re.search(r'"(.*?)"', command)[1]
    assert run(["evaluate", "mine.npz", "--task", task, "--root", "data"]) == 0
    assert run(["evaluate", "whole.npz"]) == 0
    table = re.search(r"^filepath,.*?(?=```)", TEXT, re.MULTILINE | re.DOTALL)[0]
    (tmp_path / "table.csv").write_text(table)
    assert run(["evaluate", "table.csv", "--task", task]) == 0


def test_the_table_names_every_figure():
    assert re.findall(r"^\| `(\w+)`", TEXT, re.MULTILINE) == list(FIGURES)
    [row] = re.findall(r"^\| `per_class\[...\]` \| (.*?) of class 1", TEXT, re.MULTILINE)
    fields = {
        field.name
        for field in dataclasses.fields(ClassScores)
        if f"{field.name}_interval" in {other.name for other in dataclasses.fields(ClassScores)}
    }
    assert set(re.findall(r"`(\w+)`", row)) == fields
