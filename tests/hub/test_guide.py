"""The examples of docs/download.md run, against a mirror on loopback."""

import json
import re
from pathlib import Path

import pytest

from medimeta.cli.boundary import run
from medimeta.hub.listing import parse_listing

TEXT = (Path(__file__).parents[2] / "docs" / "download.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def mirror(server, releases, tmp_path, monkeypatch):
    server.record({path.name: path for path in sorted(releases.folder.iterdir())})
    monkeypatch.setenv("MEDIMETA_MIRROR", server.url())
    monkeypatch.chdir(tmp_path)


def test_the_python_of_the_guide_runs(capsys):
    namespace: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(block, namespace)  # the guide is ours
    assert len(namespace["dataset"]) > 0
    assert len(namespace["images"]) == len(namespace["labels"]) > 0
    assert "bus 15 md5:" in capsys.readouterr().out


def test_the_commands_of_the_guide_run(releases, capsys):
    Path("Downloads").mkdir()
    (Path("Downloads") / "bus.zip").write_bytes((releases.folder / "bus.zip").read_bytes())
    commands = re.findall(r"^medimeta (download .*?)(?: *#.*)?$", TEXT, re.MULTILINE)
    assert len(commands) >= 4
    seen = []
    for command in commands:
        arguments = [word.strip("'").replace("~/", "") for word in re.findall(r"'[^']*'|\S+", command)]
        seen.append(run(arguments))
    said = capsys.readouterr()
    assert seen == [0, 1, 1, 0], said.err  # this mirror has neither oct nor all
    assert "has no archive of oct" in said.err


def test_the_listing_of_the_guide_is_one():
    [example] = re.findall(r"listing\.json +(\{.*\})", TEXT)
    entry = json.loads(example.replace(", ...]", "]").replace("md5:...", "md5:" + "0" * 32))
    assert parse_listing(json.dumps(entry).encode(), "the guide").files[0].key == "bus.zip"
