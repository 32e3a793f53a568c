"""Laws of episodes, over all four kinds of task, with and without subjects."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import medimeta as mm
from medimeta.catalogue.schema import TaskTarget
from medimeta.errors import UsageError
from medimeta.loading import episode_subjects

KINDS = {"multi-class": TaskTarget.MULTICLASS, "binary": TaskTarget.BINARY, "ordinal": TaskTarget.ORDINAL}
GRADES = (1, 4, 7, 10)


@st.composite
def cases(draw, kinds=(*KINDS, "multi-label"), most=40):
    """Labels, subjects or None, kind, shots and queries."""
    kind = draw(st.sampled_from(kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(4, most))
    if kind == "multi-label":
        labels = (rng.random((count, draw(st.integers(1, 4)))) < draw(st.floats(0.2, 0.8))).astype(int)
    else:
        classes = 2 if kind == "binary" else draw(st.integers(2, 4))
        labels = rng.integers(0, classes, count)
        labels = np.array(GRADES)[labels] if kind == "ordinal" else labels
    subjects = rng.integers(0, draw(st.integers(1, 7)), count) if draw(st.booleans()) else None
    return kind, labels, subjects, draw(st.integers(1, 3)), draw(st.integers(1, 3))


def dataset_of(fake, kind, labels, subjects):
    keys = {"ordinal": GRADES, "binary": (0, 1)}.get(kind, range(4))
    return fake(labels, subjects, KINDS.get(kind), None if kind == "multi-label" else keys)


def sides_of(dataset):
    """Columns of 0 and 1 of which an episode needs enough: the classes, or, multi-label, each label and its absence."""
    if dataset.labels.ndim == 2:
        return np.concatenate([dataset.labels, 1 - dataset.labels], axis=1)
    return (dataset.class_indices()[:, None] == np.arange(len(dataset.task.labels))).astype(int)


def check(dataset, episode, shots, queries):
    """Assert all that the definition asks of an episode."""
    support, query = episode.support, episode.query
    assert support.dtype == query.dtype == np.int64
    assert len({*support.tolist()} | {*query.tolist()}) == len(support) + len(query)
    if dataset.codes is not None:
        assert not set(dataset.codes[support]) & set(dataset.codes[query])
    for places, labels, need in (
        (support, episode.support_labels(), shots),
        (query, episode.query_labels(), queries),
    ):
        if dataset.labels.ndim == 2:
            columns = [dataset.task.classes.index(name) for name in episode.classes]
            assert np.array_equal(labels, dataset.labels[places][:, columns])
            sides = np.concatenate([labels, 1 - labels], axis=1)
            assert (sides.sum(axis=0) >= need).all()
            # none in vain: without any of them, something would be short
            assert all(((sides.sum(axis=0) - row) < need).any() for row in sides)
        else:
            assert labels.tolist() == np.repeat(np.arange(len(episode.classes)), need).tolist()
            names = [dataset.task.labels[int(label)] for label in dataset.labels[places]]
            assert names == [name for name in episode.classes for _ in range(need)]


def possible(sides, subjects, shots, queries):
    """Try every way to put the subjects on two sides."""
    codes = np.unique(subjects, return_inverse=True)[1]
    counts = np.array([sides[codes == code].sum(axis=0) for code in range(codes.max() + 1)])
    for choice in product([False, True], repeat=len(counts)):
        support = np.array(choice)
        if (counts[support].sum(axis=0) >= shots).all() and (counts[~support].sum(axis=0) >= queries).all():
            return True
    return False


@given(cases())
@settings(max_examples=150, deadline=None)
def test_an_episode_is_disjoint_and_balanced_and_is_found_wherever_there_is_one(fake, case):
    kind, labels, subjects, shots, queries = case
    dataset = dataset_of(fake, kind, labels, subjects)
    sides = sides_of(dataset)
    there = np.ones(sides.shape[1], bool) if kind == "multi-label" else sides.any(axis=0)
    try:
        episodes = mm.Episodes(dataset, shots, queries, length=3, min_samples=1 if kind != "multi-label" else None)
    except UsageError:
        if subjects is not None:
            assert there.sum() < 2 or not possible(sides[:, there], subjects, shots, queries)
        elif kind != "multi-label":
            assert there.sum() < 2 or sides[:, there].sum(axis=0).min() < shots + queries
        elif len(labels) <= 10:
            assert not possible(sides, np.arange(len(labels)), shots, queries)
        return
    for episode in episodes:
        check(dataset, episode, shots, queries)


@given(cases(kinds=("multi-label",), most=9))
@settings(max_examples=60, deadline=None)
def test_a_multi_label_episode_of_single_images_is_found_wherever_there_is_one(fake, case):
    _, labels, _, shots, queries = case
    dataset = fake(labels)
    try:
        episode = mm.Episodes(dataset, shots, queries)[0]
    except UsageError:
        assert not possible(sides_of(dataset), np.arange(len(labels)), shots, queries)
    else:
        check(dataset, episode, shots, queries)


@given(st.data())
@settings(max_examples=50, deadline=None)
def test_shots_and_ways_stay_in_their_ranges(fake, data):
    classes = data.draw(st.integers(3, 6))
    dataset = fake(np.repeat(np.arange(classes), 12), np.tile(np.arange(6), 2 * classes))
    shots = tuple(sorted(data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))))
    ways = tuple(sorted(data.draw(st.tuples(st.integers(2, classes), st.integers(2, classes)))))
    for episode in mm.Episodes(dataset, shots, 2, ways, length=5, seed=data.draw(st.integers(-3, 3))):
        each = len(episode.support) // len(episode.classes)
        assert shots[0] <= each <= shots[1]
        assert ways[0] <= len(episode.classes) <= ways[1]
        assert list(episode.classes) == sorted(episode.classes)
        check(dataset, episode, each, 2)


@pytest.mark.parametrize("kind", [*KINDS, "multi-label"])
@pytest.mark.parametrize("known", [False, True])
def test_large_datasets_keep_the_laws(fake, kind, known):
    """Here few images are drawn of many, by other code than in small datasets."""
    rng = np.random.default_rng(3)
    if kind == "multi-label":
        labels = (rng.random((9_000, 6)) < [0.01, 0.03, 0.1, 0.3, 0.6, 0.95]).astype(int)
    else:
        labels = rng.choice(GRADES if kind == "ordinal" else 2 if kind == "binary" else 4, 9_000)
    subjects = rng.integers(0, 700, 9_000) if known else None
    dataset = dataset_of(fake, kind, labels, subjects)
    for episode in mm.Episodes(dataset, 5, 10, length=40):
        check(dataset, episode, 5, 10)


def test_a_few_subjects_with_many_images_are_kept_apart(fake):
    """Each support drawn at random would have all three subjects of a class."""
    labels = np.repeat([0, 1], 3_000)
    subjects = np.concatenate([np.arange(3_000) % 3, 3 + np.arange(3_000) % 3])
    dataset = fake(labels, subjects)
    supporting = set()
    for episode in mm.Episodes(dataset, 10, 10, length=30):
        check(dataset, episode, 10, 10)
        supporting |= set(subjects[episode.support].tolist())
    assert supporting == set(range(6))


def test_subjects_with_images_of_both_classes_are_on_one_side(fake):
    """One subject of each class alone is rare: nearly all have images of both."""
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(5), 40)
    dataset = fake(rng.integers(0, 2, 200), subjects)
    for episode in mm.Episodes(dataset, 12, 12, length=20):
        check(dataset, episode, 12, 12)


def test_subjects_may_be_shared_when_that_is_asked_for(fake):
    dataset = fake([0, 0, 1, 1], [0, 0, 1, 1])
    with pytest.raises(UsageError, match="c0: has 2 images of 1 subject, needs 1 and 1 of different subjects"):
        mm.Episodes(dataset, 1, 1)
    episodes = mm.Episodes(dataset, 1, 1, disjoint_subjects=False)
    assert not episodes.subjects_known
    dataset.codes = None
    check(dataset, episodes[0], 1, 1)


def test_classes_that_share_subjects_are_not_drawn_together(fake):
    """Three of the four classes have an odd circle of subjects; other choices of classes are possible."""
    dataset = fake([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 1, 2, 2, 0, 3, 4])
    with pytest.raises(UsageError, match="there is no episode of 1 shots and 1 queries, because classes share"):
        mm.Episodes(dataset, 1, 1)
    for episode in mm.Episodes(dataset, 1, 1, ways=(2, 3), length=30):
        check(dataset, episode, 1, 1)


def test_a_search_without_end_is_an_error_of_use(fake, monkeypatch):
    """However the search ends, the caller is told in words."""
    dataset = fake(np.repeat([0, 1], 3_000), np.tile(np.arange(3), 2_000))
    episodes = mm.Episodes(dataset, 20, 20)
    monkeypatch.setattr(episode_subjects, "STEPS", (1, 1))
    with pytest.raises(UsageError, match="no episode was found in bounded time of 20 shots and 20 queries, because"):
        episodes[0]


def test_an_episode_without_any_possible_choice_of_classes_is_an_error(fake):
    """Each class alone is possible in one way only, and any two ask one subject to be on both sides."""
    dataset = fake(np.repeat([0, 1, 2], 3), [0, 0, 1, 1, 1, 2, 2, 2, 0])
    episodes = mm.Episodes(dataset, 2, 1, ways=2)
    with pytest.raises(
        UsageError, match="episode 3 finds no 2 classes of which 2 shots and 1 queries are of different"
    ):
        episodes[3]
    assert len(mm.Episodes(dataset, 2, 1, ways=2, disjoint_subjects=False)[3].support) == 4
