"""The examples of docs/metrics.md run, and what its table names is there."""

import dataclasses
import re

from tests.guides import run_examples, text_of

from medimeta.cli.boundary import run
from medimeta.learning.metrics import FIGURES, ClassScores

TEXT = text_of("metrics.md")


def test_the_examples_of_the_guide_run(built_root, tmp_path, monkeypatch, capsys):
    run_examples("metrics.md", built_root, tmp_path, monkeypatch, capsys, least=30)
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
