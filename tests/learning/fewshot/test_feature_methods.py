"""Linear probe and nearest centroid solve many episodes as they would one, and as scikit-learn does."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from medimeta.catalogue.schema import TaskCard
from medimeta.learning.fewshot.config import FewShotConfig
from medimeta.learning.fewshot.linear_probe import LinearProbe
from medimeta.learning.fewshot.method import EpisodeFeatures
from medimeta.learning.fewshot.protonet import ProtoNet
from medimeta.learning.fewshot.scaling import centred

pytestmark = pytest.mark.usefixtures("one_thread")

TARGETS = {
    "binary": "BINARY_CLASSIFICATION",
    "multi-class": "MULTICLASS_CLASSIFICATION",
    "multi-label": "MULTILABEL_CLASSIFICATION",
    "ordinal": "ORDINAL_REGRESSION",
}
METHODS = {"linear-probe": LinearProbe(), "protonet": ProtoNet()}
CONFIGS = {name: FewShotConfig(method=name) for name in METHODS}

seeds, kinds, names = st.integers(0, 2**32), st.sampled_from(sorted(TARGETS)), st.sampled_from(sorted(METHODS))


def draw(kind, seed, episodes=3, features=7, queries=5, least=1):
    """Draw episodes of features with some signal; the multi-label ones have different numbers of images."""
    rng = np.random.default_rng(seed)
    ways = 2 if kind == "binary" else int(rng.integers(2, 5))
    task = TaskCard(dataset="d", name="t", target=TARGETS[kind], labels={number: f"{number}" for number in range(ways)})
    count = ways * int(rng.integers(least, 5))
    present = np.ones((episodes, count), dtype=bool)
    if kind == "multi-label":
        labels = rng.integers(0, 2, (episodes, count, ways))
        labels[:, 0], labels[:, 1] = 0, 1
        present[:, 2:] = np.sort(rng.random((episodes, count - 2)) < 0.7)[:, ::-1]
        labels *= present[..., None]
        signal = labels
    else:
        labels = np.tile(np.arange(ways).repeat(count // ways), (episodes, 1))
        signal = np.eye(ways)[labels]
    support = rng.normal(size=(episodes, count, features)) + 3 + signal @ rng.normal(size=(ways, features))
    query = rng.normal(size=(episodes, queries, features)) + 3
    return EpisodeFeatures(
        tasks=(task,) * episodes,
        support=torch.from_numpy(support * present[..., None]).float(),
        support_labels=torch.from_numpy(labels),
        present=torch.from_numpy(present),
        query=torch.from_numpy(query).float(),
    )


def one(episodes, number):
    """Take one of the episodes, without what it was filled up with."""
    there = episodes.present[number]
    return EpisodeFeatures(
        tasks=episodes.tasks[:1],
        support=episodes.support[number, there][None],
        support_labels=episodes.support_labels[number, there][None],
        present=there[there][None],
        query=episodes.query[number][None],
    )


@settings(max_examples=40, deadline=None)
@given(seeds, kinds, names)
def test_many_episodes_are_solved_as_each_alone(seed, kind, name):
    """Solving together what is filled up with zeros gives what a loop over the episodes gives."""
    episodes = draw(kind, seed)
    together = METHODS[name].logits(episodes, CONFIGS[name])
    alone = [METHODS[name].logits(one(episodes, number), CONFIGS[name]) for number in range(3)]
    assert together.shape == (3, 5, episodes.tasks[0].outputs)
    torch.testing.assert_close(together, torch.cat(alone), rtol=0, atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seeds, kinds, names, st.floats(0.01, 100), st.floats(-10, 10))
def test_the_scale_of_features_does_not_matter(seed, kind, name, scale, shift):
    """Features times a number, plus a number, give the same logits."""
    episodes = draw(kind, seed)
    wide = EpisodeFeatures(
        episodes.tasks,
        (episodes.support.double() * scale + shift) * episodes.present[..., None],
        episodes.support_labels,
        episodes.present,
        episodes.query.double() * scale + shift,
    )
    expected = METHODS[name].logits(episodes, CONFIGS[name])
    torch.testing.assert_close(METHODS[name].logits(wide, CONFIGS[name]), expected, rtol=0, atol=1e-5)


@settings(max_examples=12, deadline=None)
@given(seeds, kinds, st.sampled_from([0.3, 1.0, 5.0]))
def test_the_linear_probe_is_the_logistic_regression_of_scikit_learn(seed, kind, penalty):
    """The logits differ by 1e-3 at most; multi-class ones up to what is common to all classes."""
    episodes = one(draw(kind, seed), 0)
    found = LinearProbe().logits(episodes, FewShotConfig(method="linear-probe", penalty=penalty))[0].numpy()
    support, query = (part[0].numpy() for part in centred(episodes))
    labels = episodes.support_labels[0].numpy()
    several = kind in ("multi-class", "ordinal")
    for column in range(1 if several else found.shape[1]):
        known = labels if labels.ndim == 1 else labels[:, column]
        reference = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=10_000).fit(support, known)
        expected = reference.decision_function(query)
        if several and found.shape[1] > 2:
            expected, mine = expected - expected.mean(axis=1, keepdims=True), found
            mine = mine - mine.mean(axis=1, keepdims=True)
        elif several:
            return  # of two classes scikit-learn makes a sigmoid, whose penalty is another
        else:
            mine = found[:, column]
        np.testing.assert_allclose(mine, expected, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from(["binary", "multi-class", "ordinal"]))
def test_protonet_decides_as_the_nearest_centroid_of_scikit_learn(seed, kind):
    episodes = one(draw(kind, seed, least=2), 0)  # of one image a class, scikit-learn divides 0 by 0
    logits = ProtoNet().logits(episodes, CONFIGS["protonet"])[0].numpy()
    predicted = (logits[:, 0] >= 0).astype(int) if kind == "binary" else logits.argmax(axis=1)
    reference = NearestCentroid().fit(episodes.support[0], episodes.support_labels[0])
    assert predicted.tolist() == reference.predict(episodes.query[0]).tolist()


def test_a_multi_label_prototype_is_of_those_that_have_the_label():
    """Each column of a multi-label episode is the binary episode of that label."""
    episodes = one(draw("multi-label", 5), 0)
    logits = ProtoNet().logits(episodes, CONFIGS["protonet"])
    [binary] = draw("binary", 0, episodes=1).tasks
    for column in range(logits.shape[2]):
        single = EpisodeFeatures(
            (binary,), episodes.support, episodes.support_labels[..., column], episodes.present, episodes.query
        )
        torch.testing.assert_close(ProtoNet().logits(single, CONFIGS["protonet"])[..., 0], logits[..., column])


@pytest.mark.parametrize("name", METHODS)
def test_features_that_are_all_the_same_tell_nothing(name):
    """No division by a spread of zero: all query images get the same finite logits."""
    episodes = draw("multi-class", 3)
    flat = EpisodeFeatures(
        episodes.tasks, torch.ones_like(episodes.support), episodes.support_labels, episodes.present,
        torch.ones_like(episodes.query),
    )  # fmt: skip
    logits = METHODS[name].logits(flat, CONFIGS[name])
    torch.testing.assert_close(logits, torch.zeros_like(logits))
