"""The examples of docs/training.md run, and its table names every setting with its flag."""

import doctest
import re
from pathlib import Path

import pytest

from medimeta.cli.training_options import AXES, settings_with_flags

GUIDE = Path(__file__).parents[3] / "docs" / "training.md"


@pytest.mark.usefixtures("one_thread")
def test_the_examples_of_the_guide_run(small_root, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").symlink_to(small_root)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, GUIDE.name, str(GUIDE), 0)
    found = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test)
    assert found.attempted >= 15
    assert found.failed == 0, capsys.readouterr().out


def test_the_table_names_every_setting_with_its_flag():
    rows = re.findall(r"^\| `([\w.]+)` \| `(--[\w-]+)`", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    expected = [(".".join(path), f"--{path[-1].replace('_', '-')}") for path, _ in settings_with_flags()]
    assert [row for row in rows if row[0] not in AXES] == expected
    assert {name for name, _ in rows} >= set(AXES)
