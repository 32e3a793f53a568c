"""Mixed batches: one task each, every task exhausted exactly once, in the proportions that were asked for."""

import threading
from collections import Counter
from itertools import islice, permutations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import medimeta as mm
from medimeta.errors import UnknownNameError, UsageError
from medimeta.loading.turns import Decks, EachOnce, Endless

LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NAMES = ("pbc/cell class", "bus/malignancy", "bus/case category")


@pytest.fixture(scope="module")
def tasks(small_root):
    return [mm.load(name, root=small_root, split="train") for name in NAMES]


@LAW
@given(
    batch_size=st.integers(1, 60),
    seed=st.integers(0, 2**40),
    weights=st.sampled_from(["size", "uniform", [1, 2, 0.5], dict.fromkeys(NAMES, 2.0)]),
    world_size=st.integers(1, 3),
    threads=st.integers(1, 4),
)
def test_an_epoch_visits_each_sample_of_each_task_once(tasks, batch_size, seed, weights, world_size, threads):
    seen = {task.task.id: [] for task in tasks}
    for rank in range(world_size):
        mixed = mm.MixedBatches(
            tasks, batch_size, seed, weights, normalize=None, rank=rank, world_size=world_size, threads=threads
        )
        batches = list(mixed)
        assert len(batches) == len(mixed)
        for images, labels, task in batches:
            assert len(images) == len(labels) <= batch_size
            seen[task.id] += [
                (image.numpy().tobytes(), int(label)) for image, label in zip(images, labels, strict=True)
            ]
    for task in tasks:
        images = task.stored.images.read(task.indices)
        images = np.repeat(images[:, None], 3, axis=1) if images.ndim == 3 else images.transpose(0, 3, 1, 2)
        right = [(image.tobytes(), int(label)) for image, label in zip(images, task.labels, strict=True)]
        assert Counter(seen[task.task.id]) == Counter(right)


def test_batches_are_those_of_the_same_seed_and_epoch_alone(tasks):
    def labels(mixed):
        return [(task.id, labels.tolist()) for _, labels, task in mixed]

    first = mm.MixedBatches(tasks, 5, seed=1)
    epochs = [labels(first), labels(first)]
    again = mm.MixedBatches(tasks, 5, seed=1, threads=1, prefetch=4)
    again.set_epoch(1)
    assert epochs[0] != epochs[1] == labels(again)
    assert labels(mm.MixedBatches(tasks, 5, seed=2)) not in epochs


def turns_of(order):
    return tuple(order.turn(number).member for number in range(order.total))


@pytest.mark.parametrize("weights", [None, np.array([1.0, 3.0, 2.0])])
def test_a_task_is_drawn_in_proportion_to_its_batches_left_or_its_weight(weights):
    """Frequencies of all orders of 2, 1 and 1 batches against the products of what each draw's chance should be."""
    batches, trials = [2, 1, 1], 4000

    def probability(order):
        left, result = list(batches), 1.0
        for member in order:
            share = left if weights is None else [w * (n > 0) for w, n in zip(weights, left, strict=True)]
            result *= share[member] / sum(share)
            left[member] -= 1
        return result

    found = Counter(turns_of(EachOnce(Decks([8, 4, 3], 4, False, seed, 0), weights)) for seed in range(trials))
    orders = set(permutations([0, 0, 1, 2]))
    assert sum(map(probability, orders)) == pytest.approx(1)
    for order in orders:
        expected = probability(order)
        assert abs(found[order] / trials - expected) < 5 * (expected * (1 - expected) / trials) ** 0.5


@pytest.mark.parametrize("weights", [None, np.array([1.0, 3.0, 2.0])])
def test_an_endless_draw_keeps_the_proportions_and_shuffles_anew(weights):
    decks = Decks([10, 4, 5], 2, False, seed=7, epoch=0)
    order = Endless(decks, weights, None)
    drawn = [order.turn(number) for number in range(20_000)]
    share = np.array([5, 2, 3]) / 10 if weights is None else weights / weights.sum()
    counts = np.bincount([turn.member for turn in drawn])
    assert (np.abs(counts / len(drawn) - share) < 5 * np.sqrt(share * (1 - share) / len(drawn))).all()
    rounds = np.concatenate([turn.places for turn in drawn if turn.member == 0])[:2000].reshape(-1, 10)
    assert (np.sort(rounds) == np.arange(10)).all()
    assert len({tuple(row) for row in rounds.tolist()}) > 150
    assert [order.turn(number).member for number in (3, 9000, 12)] == [drawn[number].member for number in (3, 9000, 12)]


def test_tasks_of_one_size_are_shuffled_apart():
    decks = Decks([50, 50], 50, False, seed=0, epoch=0)
    assert decks.deal(0, 0).tolist() != decks.deal(1, 0).tolist()


def test_an_endless_draw_has_no_length_or_the_one_given(tasks):
    endless = mm.MixedBatches(tasks, 8, endless=True)
    with pytest.raises(TypeError, match="no end"):
        len(endless)
    assert len(list(islice(endless, 50))) == 50
    cut = mm.MixedBatches(tasks, 8, endless=True, length=21)
    assert len(list(cut)) == len(cut) == 21
    shares = [mm.MixedBatches(tasks, 8, endless=True, length=21, rank=rank, world_size=2) for rank in range(2)]
    assert [len(list(share)) for share in shares] == [11, 10]


def test_one_read_ahead_serves_all_tasks(tasks):
    mixed = mm.MixedBatches(tasks * 6, 4, threads=2, normalize=None)
    before = threading.active_count()
    counts = [threading.active_count() for _ in mixed]
    assert max(counts) <= before + 2
    assert threading.active_count() == before


def test_normalised_batches_share_memory(tasks):
    mixed = mm.MixedBatches(tasks * 6, 4)
    assert len({batch.images.data_ptr() for batch in mixed}) < len(mixed) // 3


def test_an_empty_task_is_exhausted_at_once_but_cannot_be_drawn_for_ever(tasks, small_root):
    empty = mm.load("bus/malignancy", root=small_root, split="test")
    empty.indices = empty.indices[:0]
    assert {batch.task.id for batch in mm.MixedBatches([tasks[0], empty])} == {"pbc/cell class"}
    assert list(mm.MixedBatches([empty])) == []
    with pytest.raises(UsageError, match="bus/malignancy"):
        mm.MixedBatches([tasks[0], empty], endless=True)


def test_different_sizes_are_refused_naming_both(tasks, built_root):
    other = mm.load("pbc/cell class", root=built_root)
    with pytest.raises(UsageError) as refused:
        mm.MixedBatches([*tasks, other])
    assert "32 x 32" in str(refused.value)
    assert "224 x 224" in str(refused.value)


def test_different_channels_need_rgb(tasks):
    assert {batch.images.shape[1] for batch in mm.MixedBatches(tasks, 9)} == {3}
    assert {batch.images.shape[1] for batch in mm.MixedBatches(tasks[1:], 9, rgb=False)} == {1}
    with pytest.raises(UsageError, match="rgb=True"):
        mm.MixedBatches(tasks, rgb=False)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"weights": "sice"}, "'sice'"),
        ({"weights": [1, 2]}, "3 datasets"),
        ({"weights": [1, 2, "x"]}, "numbers"),
        ({"weights": [1, -1, float("nan")]}, "bus/malignancy: -1.0\n.*bus/case category: nan"),
        ({"weights": {"pbc/cell class": 1}}, "none of:\n.*bus/malignancy\n.*bus/case category"),
        ({"length": 10}, "endless"),
        ({"length": 0, "endless": True}, "length"),
        ({"batch_size": True}, "batch_size"),
        ({"seed": -1}, "seed"),
    ],
)
def test_bad_arguments_are_refused(tasks, arguments, said):
    with pytest.raises(UsageError, match=said):
        mm.MixedBatches(tasks, **arguments)


def test_weights_of_unknown_tasks_are_refused(tasks):
    with pytest.raises(UnknownNameError, match="Did you mean 'bus/malignancy'"):
        mm.MixedBatches(tasks, weights={**dict.fromkeys(NAMES, 1), "bus/malignant": 2})
    spelled = {"PBC/cell-class": 1, "bus/malignancy": 2, "bus/case_category": 3}
    assert mm.MixedBatches(tasks, weights=spelled).weights.tolist() == [1, 2, 3]


def test_bad_datasets_are_refused(tasks, small_root):
    with pytest.raises(UsageError, match="at least one"):
        mm.MixedBatches([])
    with pytest.raises(UsageError, match="sequence"):
        mm.MixedBatches(tasks[0])
    with pytest.raises(UsageError, match="bus was loaded without"):
        mm.MixedBatches([*tasks, mm.load("bus", root=small_root)])
    with pytest.raises(UsageError, match="got str"):
        mm.MixedBatches(["bus/malignancy"])
    with pytest.raises(UsageError, match="transform"):
        mm.MixedBatches([mm.load("bus/malignancy", root=small_root, transform=torch.neg)])
    with pytest.raises(UsageError, match="more than once"):
        mm.MixedBatches([tasks[0], tasks[0]], weights={NAMES[0]: 1})
