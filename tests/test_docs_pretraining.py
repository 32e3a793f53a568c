"""The examples of docs/pretraining.md run."""

import re

import pytest
from tests.guides import run_examples, text_of

TEXT = text_of("pretraining.md")


@pytest.mark.usefixtures("one_thread")
def test_the_examples_of_the_guide_run(built_root, tmp_path, monkeypatch, capsys):
    run_examples("pretraining.md", built_root, tmp_path, monkeypatch, capsys, least=20)


def test_what_the_guide_says_of_statistics_is_what_there_is():
    from medimeta.loading.normalize import STATISTICS

    assert re.findall(r'^\| `"(\w+)"` \|', TEXT, re.MULTILINE) == list(STATISTICS)
