"""Choices are uniform, depend on the seed and the number alone, and stay what they are."""

import hashlib
import os
import pickle
import subprocess
import sys
from itertools import pairwise, permutations

import numpy as np
import pytest

import medimeta as mm
from medimeta.errors import UsageError
from medimeta.loading.episode_draws import EpisodeStreams, distinct


def chi_square(found, expected):
    return float(((np.asarray(found) - expected) ** 2 / expected).sum())


def assert_uniform(found):
    """Six standard deviations above the mean of chi-square: seeds are fixed, so that this holds or does not."""
    free = len(found) - 1
    assert chi_square(found, np.mean(found)) < free + 6 * np.sqrt(2 * free), found


@pytest.mark.parametrize("size", [5, 13])  # by a permutation, and by drawing again
def test_all_ordered_triples_are_as_likely(size):
    rng = np.random.default_rng(4)
    rows = distinct(rng, np.full(30_000, size), 3)
    counts = dict.fromkeys(permutations(range(size), 3), 0)
    for row in rows.tolist():
        counts[tuple(row)] += 1
    assert_uniform(list(counts.values()))


@pytest.mark.parametrize("images", [12, 90])
def test_every_image_is_as_likely_in_support_and_query(fake, images):
    dataset = fake(np.tile([0, 1], images))
    counts = np.zeros((2, 2 * images))
    for episode in mm.Episodes(dataset, 3, 4, length=3_000):
        counts[0, episode.support] += 1
        counts[1, episode.query] += 1
    assert_uniform(counts[0])
    assert_uniform(counts[1])


def test_supports_are_uniform_over_images_whatever_the_sizes_of_subjects(fake):
    sizes = np.tile([1, 2, 5, 12], 10)
    subjects = np.repeat(np.arange(len(sizes)), sizes)
    dataset = fake(np.arange(len(subjects)) % 2, subjects)
    counts = np.zeros(len(subjects))
    for episode in mm.Episodes(dataset, 2, 3, length=6_000):
        counts[episode.support] += 1
    assert_uniform(counts)


def test_queries_are_uniform_over_images_of_subjects_of_one_size(fake):
    """Six subjects, so that every query set is drawn with some of them left out."""
    subjects = np.repeat(np.arange(6), 20)
    dataset = fake(np.tile([0, 1], 60), subjects)
    counts = np.zeros((2, 120))
    for episode in mm.Episodes(dataset, 1, 5, length=3_000):
        counts[0, episode.support] += 1
        counts[1, episode.query] += 1
    assert_uniform(counts[0])
    assert_uniform(counts[1])


def test_classes_shots_and_ways_are_uniform(fake):
    dataset = fake(np.repeat(np.arange(6), 20))
    classes, shots, ways = np.zeros(6), np.zeros(4), np.zeros(3)
    for episode in mm.Episodes(dataset, (2, 5), 1, ways=(2, 4), length=4_000):
        classes[[int(name[1:]) for name in episode.classes]] += 1
        shots[len(episode.support) // len(episode.classes) - 2] += 1
        ways[len(episode.classes) - 2] += 1
    assert_uniform(classes)
    assert_uniform(shots)
    assert_uniform(ways)


def test_images_of_a_label_that_serve_alike_are_as_likely(fake):
    labels = np.tile([[1, 0], [0, 1], [1, 0], [0, 1]], (10, 1))
    counts = np.zeros(40)
    for episode in mm.Episodes(fake(labels), 2, 2, length=3_000):
        counts[episode.support] += 1
    assert_uniform(counts)


def same(left, right):
    return (
        left.classes == right.classes
        and np.array_equal(left.support, right.support)
        and np.array_equal(left.query, right.query)
    )


@pytest.fixture(params=["classes", "labels"])
def dataset(request, fake):
    rng = np.random.default_rng(8)
    if request.param == "classes":
        return fake(rng.integers(0, 5, 600), rng.integers(0, 60, 600))
    return fake((rng.random((600, 5)) < 0.3).astype(int), rng.integers(0, 200, 600))


def test_an_episode_depends_on_the_seed_and_its_number_alone(dataset):
    episodes = mm.Episodes(dataset, length=12, seed=5)
    forwards = list(episodes)
    fresh = mm.Episodes(dataset, length=1_000_000, seed=np.int64(5))
    assert all(same(fresh[number], forwards[number]) for number in reversed(range(12)))
    assert all(same(left, right) for left, right in zip(pickle.loads(pickle.dumps(episodes)), forwards, strict=True))
    assert same(episodes[np.int64(-1)], forwards[11])
    assert all(same(left, right) for left, right in zip(episodes[2:9:3], forwards[2:9:3], strict=True))
    assert not any(same(left, right) for left, right in pairwise(forwards))
    assert not any(
        same(left, right) for left, right in zip(mm.Episodes(dataset, length=12, seed=6), forwards, strict=True)
    )


@pytest.mark.parametrize("number", [12, -13, 10**30])
def test_numbers_out_of_range_are_index_errors(dataset, number):
    with pytest.raises(IndexError, match=f"episode {number} is out of range; there are 12"):
        mm.Episodes(dataset, length=12)[number]


@pytest.mark.parametrize("number", ["1", 1.0, None])
def test_numbers_that_are_none_are_refused(dataset, number):
    with pytest.raises(UsageError, match="must be a whole number or a slice"):
        mm.Episodes(dataset)[number]


def test_other_data_and_settings_give_other_episodes(fake):
    labels = np.tile([0, 1], 200)
    plain = mm.Episodes(fake(labels), 2, 2)[0]
    others = [
        mm.Episodes(fake(labels, indices=np.arange(400) + 1, stored=401), 2, 2)[0],
        mm.Episodes(fake(labels, np.arange(400)), 2, 2)[0],
        mm.Episodes(fake(labels, name="other"), 2, 2)[0],
        mm.Episodes(fake(labels, np.arange(400)), 2, 2, disjoint_subjects=False)[0],
        mm.Episodes(fake(labels), 2, 2, min_samples=5)[0],
        mm.Episodes(fake(labels), 2, 2, seed=1)[0],
        mm.Episodes(fake(labels), (1, 2), 2)[0],
    ]
    assert not any(same(plain, other) for other in others)
    changed = labels.copy()
    changed[:2] = [1, 0]
    assert not same(plain, mm.Episodes(fake(changed), 2, 2)[0])


def test_streams_are_apart():
    streams = EpisodeStreams("key")
    firsts = {streams[number].random() for number in range(2_000)} | {EpisodeStreams("other")[0].random()}
    assert len(firsts) == 2_001


GOLDEN = {
    "classes": "cff2",
    "subjects": "9dd2",
    "few subjects": "0326",
    "labels": "7081",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_episodes_are_those_of_earlier_versions(fake, name):
    """A change here changes what a seed means: raise `episodes.DRAWS` and say so in the changelog."""
    count = np.arange(5_000)
    classes, subjects = count * count % 7 % 3, count * 31 % 251
    dataset, shots = {
        "classes": (fake(classes), (2, 5)),
        "subjects": (fake(classes, subjects), 5),
        "few subjects": (fake(classes, count * count % 11), 5),
        "labels": (fake(np.stack([classes == 1, count % 40 == 3, count % 3 > 0], axis=1).astype(int), subjects), 5),
    }[name]
    ways = None if name == "labels" else (2, 3)
    found = hashlib.sha256()
    for episode in mm.Episodes(dataset, shots, 6, ways, length=20, seed=1):
        found.update(str((episode.classes, episode.support.tolist(), episode.query.tolist())).encode())
    assert found.hexdigest()[:4] == GOLDEN[name]


def test_another_process_draws_the_same(built_root):
    code = (
        "import sys, medimeta as mm; ds = mm.load('pbc/cell class', root=sys.argv[1]);"
        "print([e.support.tolist() + e.query.tolist() for e in mm.Episodes(ds, 2, 3, ways=3, length=3)])"
    )
    command = [sys.executable, "-c", code, str(built_root)]
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    dataset = mm.load("pbc/cell class", root=built_root)
    here = [e.support.tolist() + e.query.tolist() for e in mm.Episodes(dataset, 2, 3, ways=3, length=3)]
    assert done.stdout.strip() == str(here)
