"""The examples of docs/pretraining.md run."""

import doctest
import re
from pathlib import Path

import pytest

GUIDE = Path(__file__).parent.parent / "docs" / "pretraining.md"


@pytest.mark.usefixtures("one_thread")
def test_the_examples_of_the_guide_run(built_root, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").symlink_to(built_root)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert all(block.startswith(">>> ") for block in blocks)
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, GUIDE.name, str(GUIDE), 0)
    found = doctest.DocTestRunner().run(test)
    assert found.attempted >= 20
    assert found.failed == 0, capsys.readouterr().out


def test_what_the_guide_says_of_statistics_is_what_there_is():
    from medimeta.loading.normalize import STATISTICS

    assert re.findall(r'^\| `"(\w+)"` \|', GUIDE.read_text(encoding="utf-8"), re.MULTILINE) == list(STATISTICS)
