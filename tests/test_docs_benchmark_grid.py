"""The blocks of docs/benchmark-grid.md run, from top to bottom."""

import re
import shlex
from pathlib import Path

import pytest

from medimeta.benchmark.grid import presets
from medimeta.cli.boundary import run

GUIDE = Path(__file__).parent.parent / "docs" / "benchmark-grid.md"
BLOCK = re.compile(r"^```(yaml|console|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.usefixtures("one_thread")
def test_the_blocks_of_the_guide_run(small_root, tmp_path, monkeypatch, capsys):
    (tmp_path / "data").symlink_to(small_root)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "guide"}
    text = GUIDE.read_text(encoding="utf-8")
    done = []
    for match in BLOCK.finditer(text):
        kind, code = match.groups()
        done.append(kind)
        if kind == "yaml":
            Path(code.splitlines()[0].removeprefix("# ")).write_text(code)
        elif kind == "python":
            line = text.count("\n", 0, match.start(2))
            exec(compile("\n" * line + code, str(GUIDE), "exec"), names)  # so that errors name their line
        else:
            for command in code.splitlines():
                assert run(shlex.split(command.removeprefix("$ medimeta "))) == 0, capsys.readouterr().err
    assert [done.count(kind) for kind in ("yaml", "console", "python")] == [2, 3, 2]
    assert "18 cells: 18 to do" in capsys.readouterr().out


def test_the_table_of_presets_is_whole():
    assert tuple(re.findall(r"^\| `([a-z-]+)` \|", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)) == presets()
