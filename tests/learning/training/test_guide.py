"""The examples of docs/training.md run, and its table names every setting with its flag."""

import re

import pytest
from tests.guides import run_examples, text_of

from medimeta.cli.training_options import AXES, settings_with_flags

TEXT = text_of("training.md")


@pytest.mark.usefixtures("one_thread")
def test_the_examples_of_the_guide_run(small_root, tmp_path, monkeypatch, capsys):
    run_examples("training.md", small_root, tmp_path, monkeypatch, capsys, least=15)


def test_the_table_names_every_setting_with_its_flag():
    rows = re.findall(r"^\| `([\w.]+)` \| `(--[\w-]+)`", TEXT, re.MULTILINE)
    expected = [(".".join(path), f"--{path[-1].replace('_', '-')}") for path, _ in settings_with_flags()]
    assert [row for row in rows if row[0] not in AXES] == expected
    assert {name for name, _ in rows} >= set(AXES)
