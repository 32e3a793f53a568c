"""Pre-training learns, resumes to the same bytes, and leaves weights that other verbs take."""

import json
import shutil
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch

import medimeta as mm
from medimeta.errors import MedimetaError, UsageError
from medimeta.learning.augment import Augmentation
from medimeta.learning.backbones import make_backbone
from medimeta.learning.pretraining import run
from medimeta.learning.pretraining.run import pretrain, run_pretraining
from medimeta.learning.pretraining.sources import find_sources
from medimeta.store.layout import split_text

pytestmark = pytest.mark.usefixtures("one_thread")

TWO = ("bus/malignancy", "pbc/cell class")


def pair(name, root):
    return mm.load(name, root=root, split="train"), mm.load(name, root=root, split="val")


@pytest.fixture
def own_root(small_root, tmp_path):
    """A copy of the root, whose splits a test may write."""
    return shutil.copytree(small_root, tmp_path / "root")


def test_all_tasks_of_a_dataset_are_learned_from_images_read_once(small_root, tmp_path, multi):
    """The loss falls by a fifth; every epoch sees each training image once, and the result is a saved model."""

    @dataclass(frozen=True)
    class Noting(Augmentation):
        seen: list = field(default_factory=list)

        def __call__(self, images, generator):
            self.seen.extend(images.float().mean(dim=(1, 2, 3)).tolist())
            return images.float()

    noting = Noting()
    sources = pair("bus", small_root)
    found = pretrain([sources], multi.changed(augmentation=noting, batch_size=8), folder=tmp_path)
    means = sorted(image.float().mean().item() for image, _ in sources[0])
    assert sorted(noting.seen[: len(means)]) == pytest.approx(means)
    assert len(noting.seen) == len(means) * found.record["training"]["epochs"]
    losses = [epoch["train_loss"] for epoch in found.record["training"]["history"]]
    assert losses[-1] < 0.8 * losses[0]
    images = sources[1].stored.images.read(sources[1].indices)
    saved = mm.load_model(tmp_path / "model").predict(images)
    assert saved.keys() == {"bus/case category", "bus/malignancy"}
    for name, scores in found.model.predict(images).items():
        np.testing.assert_allclose(saved[name], scores, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "method", "changes"),
    [
        (["bus"], "multi", {"patience": 1}),  # ends before max_epochs, which a resumed run must know
        (TWO, "multi", {"steps_per_epoch": 3, "sampling": "uniform"}),
        (["pbc/cell class"], "maml", {"order": 2}),
    ],
)
def test_what_was_killed_ends_with_the_same_bytes(small_root, tmp_path, request, names, method, changes):
    """Killed after its second epoch, before the checkpoint of it; then at its very end, before the result."""
    config = request.getfixturevalue(method).changed(**changes)
    sources = find_sources(names, small_root, config)
    whole = run_pretraining(sources, config, folder=tmp_path / "whole")

    def kill(epoch, _):
        if epoch == 2:
            raise RuntimeError("killed")

    folder = tmp_path / "killed"
    if whole.record["training"]["epochs"] > 1:
        with pytest.raises(RuntimeError, match="killed"):
            run_pretraining(sources, config, folder=folder, epoch_done=kill)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "write_result", lambda *_: kill(2, None))
        with pytest.raises(RuntimeError, match="killed"):
            run_pretraining(sources, config, folder=folder)
    told = []
    again = run_pretraining(sources, config, folder=folder, epoch_done=lambda *figures: told.append(figures))
    assert told == []  # it had ended: nothing was trained any more
    assert again.record["training"]["history"] == whole.record["training"]["history"]
    assert again.weights.read_bytes() == whole.weights.read_bytes()
    assert not any(path.name.startswith(".") for path in folder.iterdir())
    assert run_pretraining(sources, config, folder=folder).kept
    assert not read_again(sources, config, folder, seed=1)


def read_again(sources, config, folder, seed):
    """Whether settings that differ in the seed would be taken for the same."""
    return run.read_finished(folder, run.identity_of(sources, config.changed(seed=seed))) is not None


def test_the_file_is_where_other_verbs_start_from(small_root, tmp_path, multi):
    found = pretrain([pair(name, small_root) for name in TWO], multi.changed(max_epochs=1), folder=tmp_path)
    backbone = make_backbone(multi.backbone, weights=found.weights)
    own = found.model.backbone.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in backbone.state_dict().items())
    record = json.loads((tmp_path / "pretraining.json").read_text())
    assert record["config_sha256"] == multi.changed(max_epochs=1).digest()
    assert record["tasks"] == list(TWO)
    assert set(record["data"]) == {"bus", "pbc"}
    readme = (tmp_path / "README.md").read_text()
    assert "Terms" in readme
    assert "bus/malignancy" in readme


def test_the_seed_decides_and_chance_outside_is_left_alone(small_root, multi):
    config = multi.changed(max_epochs=1)
    before = torch.get_rng_state()

    def weights(seed):
        model = pretrain([pair(TWO[0], small_root)], config.changed(seed=seed)).model
        return torch.cat([value.flatten() for value in model.parameters()])

    first = weights(1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(9)
    assert torch.equal(weights(1), first)
    assert not torch.equal(weights(2), first)


def test_weights_of_tasks_count_in_the_loss(small_root, multi):
    """At a rate at which nothing is learned, the loss of an epoch is the mean over tasks by their weights."""
    config = multi.changed(max_epochs=1, learning_rate=1e-12, batch_size=64)

    def loss(**weights):
        named = {f"bus/{name.replace('_', ' ')}": weight for name, weight in weights.items()}
        return pretrain([pair("bus", small_root)], config.changed(task_weights=named)).record["training"]["history"][0][
            "train_loss"
        ]

    one, other, mean = loss(malignancy=1e6), loss(case_category=1e6), loss()
    assert mean == pytest.approx((one + other) / 2, abs=1e-5)
    assert loss(malignancy=3) == pytest.approx((3 * one + other) / 4, abs=1e-5)


def test_some_tasks_of_a_dataset_are_learned_together(small_root, multi):
    sources = find_sources(["bus/malignancy", "bus/case category"], small_root, multi)
    assert sources.shared
    assert [task.name for task in sources.tasks] == ["malignancy", "case category"]


def test_meta_training_leaves_a_backbone_and_tells_what_it_learned(small_root, tmp_path, maml):
    found = run_pretraining(find_sources(TWO, small_root, maml), maml, folder=tmp_path)
    assert found.model.tasks == ()
    assert not (tmp_path / "model").exists()
    assert found.record["not_validated"] == ["bus/malignancy"]  # its val set has one malignant image
    assert found.record["training"]["history"][0]["val_auroc_by_task"].keys() == {"pbc/cell class"}
    assert len(found.record["classes"]["pbc/cell class"]) >= 2
    running = [value for name, value in found.model.backbone.state_dict().items() if name.endswith("running_mean")]
    assert all(value.abs().sum() > 0 for value in running)  # so that it can be evaluated the usual way


def test_everything_that_is_wrong_is_told_at_once(own_root, small_root, built_root, tmp_path, multi):
    normal = mm.load("bus/malignancy", root=own_root, split="train")
    (own_root / "bus" / "splits" / "train.txt").write_text(split_text(normal.indices[normal.labels == 0].tolist()))
    (own_root / "pbc" / "splits" / "val.txt").write_text("")
    pairs = [
        pair("bus/malignancy", own_root),
        pair("pbc/cell class", own_root),
        pair("oct/disease class", built_root),
        pair("oct/disease class", built_root),
        pair("bus", small_root),
    ]
    with pytest.raises(UsageError) as caught:
        pretrain(pairs, multi.changed(task_weights={"bus/malignant": 2}))
    for said in (
        "bus/malignancy: has one class in train",
        "pbc/cell class: the val set has no samples",
        "different sizes; build them at one: 32 x 32 pixels: bus, pbc; 224 x 224 pixels: oct",
        "oct/disease class: is there more than once",
        "bus: was loaded without a task",
        "task_weights: there is no task 'bus/malignant'",
    ):
        assert said in str(caught.value)


def test_episodes_that_cannot_be_drawn_are_told(small_root, maml):
    with pytest.raises(UsageError, match="there are no episodes of bus/malignancy"):
        pretrain([pair("bus/malignancy", small_root)], maml.changed(shots=50))


def test_nothing_is_refused(multi):
    with pytest.raises(UsageError, match="nothing to pre-train on"):
        pretrain([], multi)


@pytest.mark.parametrize("method", ["multi", "maml"])
def test_divergence_says_so(small_root, request, method):
    config = request.getfixturevalue(method).changed(max_epochs=1)
    object.__setattr__(config, "learning_rate", 1e30)  # beyond its bounds, so that it diverges in a few steps
    with pytest.raises(MedimetaError, match="diverged in its first epoch; try a lower learning rate than 1e[+]30"):
        pretrain([pair("pbc/cell class", small_root)], config)


def test_a_disk_that_is_full_keeps_the_last_checkpoint(small_root, tmp_path, multi, monkeypatch):
    from medimeta.learning.pretraining import fit

    written = fit.write_whole

    def full(path, data):
        if any(tmp_path.rglob("last.ckpt")):
            raise OSError(28, "No space left on device", str(path))
        written(path, data)

    monkeypatch.setattr(fit, "write_whole", full)
    with pytest.raises(MedimetaError, match="cannot be written .No space left on device.. The last whole one is kept"):
        pretrain([pair("bus", small_root)], multi, folder=tmp_path)
    [last] = tmp_path.rglob("last.ckpt")
    assert torch.load(last, weights_only=True)["epoch"] == 0
