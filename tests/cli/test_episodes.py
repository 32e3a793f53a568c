"""``medimeta episodes``: what it draws is what the library draws."""

import json

import pytest

import medimeta as mm


def test_it_saves_what_the_library_draws(command, built_root, tmp_path):
    out = tmp_path / "new" / "episodes.json"
    done = command(
        *("episodes", "pbc/cell_class", "--shots", "1-2", "--queries", 1, "--ways", "3", "--length", 5, "--seed", 4),
        *("--root", built_root, "--split", "train,val", "--out", out),
    )
    assert (done.code, done.err) == (0, "")
    assert f"Saved: {out}" in done.out
    assert "Episode 0: 3 classes" in done.out
    dataset = mm.load("pbc/cell class", root=built_root, split=["train", "val"])
    expected = mm.Episodes(dataset, (1, 2), 1, 3, length=5, seed=4)
    loaded = mm.load_episodes(out, dataset)
    assert [episode.support.tolist() for episode in loaded] == [episode.support.tolist() for episode in expected]


def test_json_prints_the_episodes_or_what_was_saved(command, built_root, tmp_path):
    arguments = (
        "episodes",
        "bus/malignancy",
        "--shots",
        1,
        "--queries",
        1,
        "--length",
        2,
        "--root",
        built_root,
        "--json",
    )
    printed = json.loads(command(*arguments).out)
    assert printed["task"] == "bus/malignancy"
    assert len(printed["episodes"]) == 2
    saved = json.loads(command(*arguments, "--out", tmp_path / "e.json").out)
    assert saved["file"] == str(tmp_path / "e.json")
    assert saved["episodes"] == 2
    assert json.loads((tmp_path / "e.json").read_text()) == printed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["bus"], "expected a task as"),
        (["bus/malignancy", "--shots", "many"], "expected a number, or bounds such as 1-10; got"),
        (["bus/malignancy", "--ways", "3-2"], "ways: the lower bound comes first"),
        (["bus/malignancy", "--shots", "999"], "has 10 images, needs 1,009"),
        (["bus/malignancy", "--out", "episodes.txt"], "episodes are kept in files named"),
        (["bus/malignancies"], "Did you mean"),
        (["bus/malignancy", "--split", "valid"], "unknown split 'valid'"),
        (["bus/malignancy", "--min-samples", "15"], "min_samples=15 leaves 1 of 2 classes"),
    ],
)
def test_wrong_use_is_told(command, built_root, arguments, words):
    done = command("episodes", *arguments, "--root", built_root)
    assert done.code == 2
    assert words in " ".join(done.err.split())
    assert done.out == ""
