"""Every setting of a training can be set by a flag and in a file, in train and benchmark alike; flags come first."""

import json
from dataclasses import replace

import pytest

from medimeta.benchmark.protocol import paper_config
from medimeta.cli.boundary import run
from medimeta.cli.training_options import settings_with_flags
from medimeta.learning.augment import Augmentation
from medimeta.learning.config import NORMALISATIONS, settings_from
from medimeta.loading.normalize import STATISTICS

pytestmark = pytest.mark.usefixtures("one_thread")

# Another value for every setting.
OTHER = {
    "learning_rate": 5e-3,
    "batch_size": 16,
    "max_epochs": 1,
    "patience": 3,
    "augmentation": {"horizontal_flip": 0.5, "vertical_flip": 0.0, "rotation": 5.0, "crop": 1.0, "crop_share": 0.75},
    "normalize": "half",
    "precision": "32-true",
    "class_weighting": "balanced",
    "compile": "off",
}


def flags(settings):
    for name, value in settings.items():
        yield from flags(value) if isinstance(value, dict) else (f"--{name.replace('_', '-')}", str(value))


def test_the_other_values_are_of_all_settings():
    found = {path[-1] for path, _ in settings_with_flags()}
    assert found == {flag[2:].replace("-", "_") for flag in flags(OTHER) if flag.startswith("--")}
    assert tuple(STATISTICS) == NORMALISATIONS


@pytest.mark.parametrize("way", ["flags", "file", "both", "benchmark"])
def test_every_setting_reaches_the_record(small_root, tmp_path, capsys, way):
    """In a file that flags come before, everything but one is other."""
    plain = ["--root", str(small_root), "--out", str(tmp_path / "out"), "--json"]
    if way == "benchmark":
        command = ["benchmark", "--tasks", "bus/malignancy", "--backbone", "test_resnet.r160_in1k", "--no-pretrained"]
        command += ["--seeds", "7", *flags(OTHER)]
    else:
        written = {"backbone": "test_resnet.r160_in1k", "weights": "none", "seed": 7, **OTHER}
        given = list(flags(OTHER))
        if way == "both":
            written |= {"batch_size": 3, "max_epochs": 50, "augmentation": {**OTHER["augmentation"], "rotation": 90}}
            given = ["--batch-size", "16", "--max-epochs", "1", "--rotation", "5"]
        if way == "flags":
            written = {name: written[name] for name in ("backbone", "weights", "seed")}
        if way == "file":
            given = []
        (tmp_path / "settings.yaml").write_text(json.dumps(written))
        command = ["train", "bus/malignancy", "--config", str(tmp_path / "settings.yaml"), *given]
    assert run([*command, *plain]) == 0
    record = json.loads(capsys.readouterr().out)[0]
    base = paper_config("test_resnet.r160_in1k", weights="none", seed=7)
    expected = replace(base, **{**settings_from(OTHER), "augmentation": Augmentation(**OTHER["augmentation"])})
    assert record["config"] == expected.as_dict()


def test_what_a_file_has_wrong_is_told_at_once(small_root, tmp_path, capsys):
    path = tmp_path / "settings.yaml"
    path.write_text("batch_sizes: 3\npatience: never\ncompile: off\naugmentation: {rotate: 3, crop: 2}\n")
    assert run(["train", "bus", "--root", str(small_root), "--config", str(path)]) == 2
    told = capsys.readouterr().err
    assert f"{path}: 4 problems" in told
    for line in (
        "batch_sizes: there is no such setting. Did you mean 'batch_size'?",
        "patience must be a whole number, got 'never'",
        "augmentation.rotate: there is no such setting. Did you mean 'augmentation.rotation'?",
        "augmentation.crop must be from 0 to 1, got 2",
    ):
        assert line in told


@pytest.mark.parametrize(
    ("text", "message"),
    [("a: [", "is not valid YAML"), ("- 3", "must be a mapping of settings, got list"), (None, "cannot be read")],
)
def test_a_file_that_is_none_is_told(small_root, tmp_path, capsys, text, message):
    path = tmp_path / "settings.yaml"
    if text is not None:
        path.write_text(text)
    assert run(["train", "bus", "--root", str(small_root), "--config", str(path)]) == 2
    assert message in capsys.readouterr().err


def test_flags_out_of_range_are_told(small_root, capsys):
    assert run(["train", "bus", "--root", str(small_root), "--rotation", "200", "--precision", "16"]) == 2
    told = capsys.readouterr().err
    assert "augmentation.rotation must be from 0 to 180, got 200" in told
    assert "precision must be one of bf16-mixed, 32-true, got '16'" in told
