"""The examples of docs/few-shot.md run."""

import pytest
from tests.guides import run_examples


@pytest.mark.usefixtures("one_thread")
def test_the_examples_of_the_guide_run(built_root, tmp_path, monkeypatch, capsys):
    run_examples("few-shot.md", built_root, tmp_path, monkeypatch, capsys, least=20)
