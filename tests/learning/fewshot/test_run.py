"""An evaluation depends on data, settings and seed alone, goes on after a kill, and says what is wrong."""

import math
from contextlib import contextmanager

import numpy as np
import pytest
import timm
import torch
from sklearn.metrics import accuracy_score, roc_auc_score

import medimeta as mm
from medimeta.errors import DivergedError, OutOfMemoryError, StoreError, UnknownNameError, UsageError, WeightsError
from medimeta.learning.backbones import make_backbone
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.drawn import draw, numbered
from medimeta.learning.fewshot.features import Features, stacked
from medimeta.learning.fewshot.journal import Journal
from medimeta.learning.fewshot.method import FeatureMethod
from medimeta.learning.fewshot.methods import METHODS
from medimeta.learning.fewshot.run import run_few_shot

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = FewShotConfig(
    backbone="test_resnet.r160_in1k", weights="none", shots=2, queries=3, episodes=3, steps=2, batch_size=32
)
NAMES = ("finetune", "linear-probe", "protonet", "maml")
CLOSE = {"finetune": 0.0, "linear-probe": 1e-5, "protonet": 1e-5, "maml": 0.0}


def same(one, other):
    return one.as_dict() == other.as_dict() and all(
        np.array_equal(one.predictions[name], other.predictions[name]) for name in one.predictions
    )


@contextmanager
def counted_images():
    """Count the images that backbones are given, two runs to find the length of features aside."""
    counts = []

    def count(module, inputs):
        if isinstance(module, timm.models.ResNet) and len(inputs[0]) > 1:
            counts.append(len(inputs[0]))

    hook = torch.nn.modules.module.register_module_forward_pre_hook(count)
    yield counts
    hook.remove()


@pytest.mark.parametrize("method", NAMES)
def test_the_seed_decides_everything_and_chance_outside_is_left_alone(known, method):
    config = TINY.changed(method=method)
    torch.manual_seed(11)
    first, state = run_few_shot(known["multi-class"], config), torch.get_rng_state()
    torch.manual_seed(12)
    assert same(run_few_shot(known["multi-class"], config), first)
    assert not np.allclose(run_few_shot(known["multi-class"], config.changed(seed=1)).aurocs, first.aurocs)
    torch.manual_seed(11)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("method", NAMES)
def test_an_episode_does_not_depend_on_which_others_run(known, method, monkeypatch):
    """Of five episodes, the third is what it is among three, and what it is when it is solved alone."""
    config = TINY.changed(method=method)
    whole = run_few_shot(known["multi-label"], config.changed(episodes=5))
    scores = whole.predictions["scores"][whole.predictions["episode"] == 2]
    few = run_few_shot(known["multi-label"], config)
    np.testing.assert_allclose(few.predictions["scores"][few.predictions["episode"] == 2], scores, atol=CLOSE[method])
    monkeypatch.setattr(
        "medimeta.learning.fewshot.solving.numbered", lambda episodes: (each for each in [*numbered(episodes)][2:3])
    )
    alone = run_few_shot(known["multi-label"], config)
    np.testing.assert_allclose(alone.predictions["scores"], scores, atol=CLOSE[method])


def test_figures_follow_from_the_predictions(known):
    """AUROC and accuracy are scikit-learn's; the mean and 1.96 standard errors are those of the episodes."""
    result = run_few_shot(known["ordinal"], TINY.changed(method="protonet", episodes=4))
    kept = result.predictions
    for number in range(4):
        chosen = kept["episode"] == number
        labels, scores = kept["labels"][chosen], kept["scores"][chosen]
        assert result.aurocs[number] == pytest.approx(roc_auc_score(labels, scores, multi_class="ovr"))
        assert result.accuracies[number] == pytest.approx(accuracy_score(labels, scores.argmax(axis=1)))
    half = 1.96 * np.std(result.aurocs, ddof=1) / 2
    assert result.auroc == pytest.approx(np.mean(result.aurocs))
    assert result.interval == pytest.approx((result.auroc - half, result.auroc + half))
    assert result.as_dict()["auroc_interval"] == result.interval
    assert result.images == 4 * 3 * (2 + 3)
    assert result.images_per_second == pytest.approx(result.images / result.seconds)
    assert "protonet" in str(result)


def test_predictions_name_samples_and_classes_as_stored(known):
    """Labels of the episode, read through its classes, are those of the samples; support and query sets are apart."""
    dataset = known["ordinal"].subset(np.arange(20, 240))
    result = run_few_shot(dataset, TINY.changed(method="protonet", ways=2))
    kept = result.predictions
    of_episode = kept["classes"][kept["episode"], kept["labels"]]
    keys = np.array(dataset.task.keys)
    assert keys[of_episode].tolist() == dataset.stored.labels(dataset.task)[kept["samples"]].tolist()
    assert (np.diff(kept["classes"]) > 0).all()  # grades ascend
    for number in range(3):
        support = kept["support_samples"][kept["support_episode"] == number]
        assert len(support) == 4
        assert not set(support) & set(kept["samples"][kept["episode"] == number])


def test_one_episode_has_no_standard_error(known):
    result = run_few_shot(known["binary"], TINY.changed(method="protonet", episodes=1))
    assert result.predictions["scores"].shape == (6,)
    assert (result.standard_error, result.interval) == (None, None)
    assert result.as_dict()["auroc_episodes"] == [result.auroc]


def test_classes_with_too_few_images_are_left_out_and_named(small_root):
    """The protocol: all classes that have enough images."""
    cells = mm.load("pbc/cell class", root=small_root)
    rare = cells.subset(np.flatnonzero((cells.labels != 3) | (np.cumsum(cells.labels == 3) <= 4)))
    result = run_few_shot(rare, TINY.changed(method="protonet"))
    assert result.left_out == (cells.task.classes[3],)
    assert result.ways == len(result.classes) == len(cells.task.classes) - 1
    assert 3 not in result.predictions["classes"]


def test_grey_images_and_low_precision(small_root):
    ultrasound = mm.load("bus/malignancy", root=small_root)
    for method in ("finetune", "linear-probe", "protonet"):
        low = run_few_shot(ultrasound, TINY.changed(method=method, precision="bf16-mixed"))
        full = run_few_shot(ultrasound, TINY.changed(method=method))
        assert not np.array_equal(low.predictions["scores"], full.predictions["scores"])
        np.testing.assert_allclose(low.predictions["scores"], full.predictions["scores"], atol=0.15)


def test_features_are_computed_once_an_image(known):
    """However many episodes an image is in; and `stacked` gives each episode the features of its images."""
    config = TINY.changed(method="linear-probe", episodes=60)
    with counted_images() as counts:
        result = run_few_shot(known["multi-class"], config)
    used = np.concatenate([result.predictions["samples"], result.predictions["support_samples"]])
    assert sum(counts) == len(np.unique(used)) < len(used) / 2


@pytest.mark.parametrize("most", [1, 160 * 4 * 40, 2**30])
def test_features_are_right_whatever_is_kept(known, most):
    """A bound on memory makes features be computed again, and changes none."""
    dataset, config = known["multi-label"], TINY.changed(method="protonet", episodes=6)
    backbone = make_backbone(config.backbone, pretrained=False)
    features = Features(backbone, dataset, config, Journal(None, ()), most)
    every = Features(backbone, dataset, config, Journal(None, ())).of(np.arange(len(dataset)))
    drawn = list(numbered(draw(dataset, config)))
    for group in (drawn[:3], drawn[3:], drawn[1:4]):
        found = stacked(group, features)
        for row, each in enumerate(group):
            count = len(each.episode.support)
            torch.testing.assert_close(found.support[row, :count], every[each.episode.support], rtol=1e-4, atol=1e-5)
            assert not found.support[row, count:].any()
            assert found.present[row].tolist() == [True] * count + [False] * (len(found.present[row]) - count)
            torch.testing.assert_close(
                found.query[row, : len(each.episode.query)], every[each.episode.query], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("method", NAMES)
def test_a_killed_evaluation_goes_on_where_it_was(known, method, tmp_path, monkeypatch):
    """Killed in its last episode, it does not learn from the first ones again, and ends with the same bytes."""
    monkeypatch.setattr("medimeta.learning.fewshot.solving.AT_ONCE", 1)
    config = TINY.changed(method=method, episodes=4)
    with counted_images() as counts:
        whole = run_few_shot(known["binary"], config)
        unbroken = sum(counts)

        def kill(finished, auroc):
            if finished == 4:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            run_few_shot(known["binary"], config, folder=tmp_path, episode_done=kill)
        counts.clear()
        told = []
        resumed = run_few_shot(known["binary"], config, folder=tmp_path, episode_done=lambda *news: told.append(news))
    assert same(resumed, whole)
    assert sum(counts) < unbroken / 3
    assert told == list(enumerate(whole.aurocs.tolist(), 1))


@pytest.mark.parametrize("method", ["finetune", "protonet"])
def test_what_was_kept_of_other_settings_or_is_damaged_is_not_used(known, method, tmp_path):
    config = TINY.changed(method=method)
    run_few_shot(known["binary"], config, folder=tmp_path)
    other = config.changed(seed=5)
    assert same(run_few_shot(known["binary"], other, folder=tmp_path), run_few_shot(known["binary"], other))
    for path in tmp_path.rglob("*.npy"):
        path.write_bytes(path.read_bytes()[:50])
    assert same(run_few_shot(known["binary"], other, folder=tmp_path), run_few_shot(known["binary"], other))


def test_a_folder_that_cannot_be_written_is_told(known, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        run_few_shot(known["binary"], TINY, folder=tmp_path / "file")


def test_a_method_of_ones_own(known, monkeypatch):
    class Prior(FeatureMethod):
        def logits(self, episodes, config):
            return torch.zeros(*episodes.query.shape[:2], episodes.tasks[0].outputs)

    monkeypatch.setitem(METHODS, "prior", Prior())
    assert run_few_shot(known["multi-class"], TINY.changed(method="prior")).auroc == 0.5


def test_weights_from_a_file(known, tmp_path):
    """The file's weights decide, not the seed's; the settings hold its digest."""
    path = tmp_path / "backbone.pt"
    torch.manual_seed(7)
    torch.save(make_backbone(TINY.backbone, pretrained=False).state_dict(), path)
    settings = {name: value for name, value in TINY.as_dict().items() if name not in ("weights", "seed")}
    first, other = (mm.few_shot(known["binary"], weights=path, **settings) for _ in range(2))
    assert first.config.weights.startswith("sha256:")
    assert same(first, other)
    assert not same(first, mm.few_shot(known["binary"], weights="none", **settings))
    torch.manual_seed(8)
    torch.save(make_backbone(TINY.backbone, pretrained=False).state_dict(), path)
    assert mm.few_shot(known["binary"], weights=path, **settings).config.digest() != first.config.digest()


def test_learning_that_diverges_names_the_episode(known):
    with pytest.raises(DivergedError, match="diverged in episode 0.*lower learning rate"):
        run_few_shot(known["binary"], TINY.changed(learning_rate=1e9))


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_too_little_memory_is_answered_with_the_batch_size_to_try(known, error, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(timm.models.ResNet, "forward", fail)
    with pytest.raises(OutOfMemoryError, match="batch_size=16"):
        run_few_shot(known["binary"], TINY.changed(method="protonet"))


def test_other_errors_of_pytorch_are_not_taken_for_it(known, monkeypatch):
    def fail(*_):
        raise RuntimeError("something else")

    monkeypatch.setattr(timm.models.ResNet, "forward", fail)
    with pytest.raises(RuntimeError, match="something else"):
        run_few_shot(known["binary"], TINY.changed(method="protonet"))


def test_what_cannot_be_run_is_told(known, small_root, tmp_path):
    binary, labels = known["binary"], known["multi-label"]
    with pytest.raises(UsageError, match="multi-label"):
        run_few_shot(labels, TINY.changed(ways=2))
    with pytest.raises(UsageError, match="min_samples=505 leaves 0 of 2 classes"):
        run_few_shot(binary, TINY.changed(shots=500, queries=5))
    with pytest.raises(UsageError, match="one task"):
        run_few_shot(mm.load("bus", root=small_root), TINY)
    with pytest.raises(UsageError, match="one device"):
        run_few_shot(binary, TINY, devices=2)
    with pytest.raises(UsageError, match="'none', but the file given is"):
        run_few_shot(binary, TINY, weights=tmp_path / "file.pt")
    with pytest.raises(UsageError, match="file given is None"):
        run_few_shot(binary, TINY.changed(weights="sha256:0"))
    with pytest.raises(UsageError, match="transform"):
        run_few_shot(mm.load("bus/malignancy", root=small_root, transform=lambda image: image), TINY)
    with pytest.raises(WeightsError, match="no such file"):
        mm.few_shot(binary, weights=tmp_path / "nothing.pt")
    with pytest.raises(UnknownNameError, match="resnet"):
        run_few_shot(binary, TINY.changed(backbone="resnet-18"))


def test_an_undefined_auroc_is_left_out_of_the_mean(known):
    result = run_few_shot(known["binary"], TINY.changed(method="protonet"))
    result.aurocs[0] = math.nan
    assert result.auroc == pytest.approx(result.aurocs[1:].mean())
    assert result.as_dict()["auroc_episodes"][0] is None
    result.aurocs[:] = math.nan
    assert (result.auroc, result.interval) == (None, None)
    assert "not defined" in str(result)
