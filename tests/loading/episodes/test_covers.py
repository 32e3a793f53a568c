"""Multi-label episodes have few images: near the fewest possible, and what a search through all images finds."""

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

import medimeta as mm
from medimeta.loading.episode_labels import few_that_serve


def random_labels(count, width, seed):
    """Labels of which some are rare, and which come together more often in some images than in others."""
    rng = np.random.default_rng(seed)
    chances = rng.uniform(0.03, 0.5, width) * rng.gamma(2, 0.5, (count, 1))
    return (rng.random((count, width)) < np.clip(chances, 0, 0.95)).astype(int)


def fewest(labels, need):
    """The fewest images, by integer programming over the patterns of labels."""
    patterns, counts = np.unique(labels, axis=0, return_counts=True)
    sides = np.concatenate([patterns, 1 - patterns], axis=1).T.astype(float)
    found = milp(
        np.ones(len(patterns)),
        constraints=LinearConstraint(sides, need, np.inf),
        integrality=np.ones(len(patterns)),
        bounds=Bounds(0, counts),
    )
    return None if found.x is None else round(found.x.sum())


def greedy(labels, need):
    """Always the image, of all, that serves most open needs."""
    sides = np.concatenate([labels, 1 - labels], axis=1)
    lack, free, count = np.full(sides.shape[1], need), np.ones(len(sides), bool), 0
    while (lack > 0).any():
        best = int(np.argmax(np.where(free, sides @ (lack > 0), -1)))
        free[best] = False
        lack -= sides[best]
        count += 1
    return count


@pytest.mark.parametrize("need", [1, 2, 5])
def test_small_datasets_give_nearly_the_fewest_images(fake, need):
    found, possible = [], []
    for seed in range(25):
        labels = random_labels(60 + 5 * seed, 2 + seed % 10, seed)
        sides = np.concatenate([labels, 1 - labels], axis=1)
        if sides.sum(axis=0).min() >= 2 * need:
            possible.append(fewest(labels, need))
            found.append(len(mm.Episodes(fake(labels), need, need)[0].support))
    assert len(found) > 8
    assert all(least <= here <= least + 2 for least, here in zip(possible, found, strict=True))
    assert sum(found) <= 1.08 * sum(possible)


def test_of_a_large_dataset_candidates_give_few_more_than_all_images(fake):
    labels = random_labels(30_000, 14, 3)
    labels[:, 0] = np.random.default_rng(0).random(30_000) < 0.003
    episodes = mm.Episodes(fake(labels), 5, 10, length=20)
    support = np.mean([len(episode.support) for episode in episodes])
    query = np.mean([len(episode.query) for episode in episodes])
    assert fewest(labels, 5) <= support <= 1.1 * greedy(labels, 5)
    assert fewest(labels, 10) <= query <= 1.1 * greedy(labels, 10)


def test_episodes_of_a_large_dataset_differ(fake):
    labels = random_labels(30_000, 14, 3)
    episodes = mm.Episodes(fake(labels), 5, 10, length=20)
    images = np.concatenate([np.concatenate([episode.support, episode.query]) for episode in episodes])
    assert len(np.unique(images)) > 0.3 * len(images)


def test_what_later_choices_make_needless_is_dropped():
    """The row that serves most comes first; the two that the other columns need serve all that it does."""
    sides = np.array([[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0], [0, 0, 1, 1, 0, 1]], np.uint8)
    weights, ties = np.ones(6, np.int64), np.arange(3)
    assert sorted(few_that_serve(sides, 1, weights, ties).tolist()) == [1, 2]
    assert few_that_serve(sides, 2, weights, ties) is None
    assert few_that_serve(sides[:0], 1, weights, ties[:0]) is None


def test_labels_that_are_left_out_need_nothing(fake):
    labels = random_labels(200, 4, 1)
    labels[:, 2] = 0
    labels[:4, 2] = 1
    episodes = mm.Episodes(fake(labels), 3, 3, min_samples=6)
    assert (episodes.classes, episodes.left_out) == (("c0", "c1", "c3"), ("c2",))
    episode = episodes[0]
    assert episode.classes == ("c0", "c1", "c3")
    assert np.array_equal(episode.query_labels(), labels[episode.query][:, [0, 1, 3]])
