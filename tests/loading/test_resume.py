"""A state taken in mid-epoch gives exactly the batches that were left."""

import json
import pickle
from itertools import islice

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data._utils import worker as torch_worker

import medimeta as mm
from medimeta.errors import UsageError
from medimeta.loading import turns

pytestmark = pytest.mark.usefixtures("one_thread")

LAW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def tasks(small_root):
    return [mm.load(name, root=small_root) for name in ("pbc/cell class", "bus/malignancy", "bus/case category")]


def darken(images, generator):
    return images * torch.rand(len(images), 1, 1, 1, generator=generator)


def make(kind, tasks, **changes):
    common = {"batch_size": 7, "seed": 11, "normalize": None, "augment": darken, **changes}
    if kind == "loader":
        return mm.loader(tasks[0], shuffle=True, **common)
    return mm.MixedBatches(tasks, **common, **({"endless": True, "length": 30} if kind == "endless" else {}))


def same(left, right):
    return len(left) == len(right) and all(
        torch.equal(one[0], other[0]) and torch.equal(one[1], other[1]) and one[2:] == other[2:]
        for one, other in zip(left, right, strict=True)
    )


def as_json(state):
    return json.loads(json.dumps(state))


def as_pickle(state):
    return pickle.loads(pickle.dumps(state))


@pytest.mark.parametrize("kind", ["loader", "mixed", "endless"])
@LAW
@given(
    taken=st.integers(0, 15),
    epoch=st.integers(0, 3),
    written=st.sampled_from([as_json, as_pickle]),
    prefetch=st.integers(1, 4),
    threads=st.integers(1, 4),
)
def test_resumed_equals_unbroken(tasks, kind, taken, epoch, written, prefetch, threads):
    unbroken = make(kind, tasks)
    unbroken.set_epoch(epoch)
    expected = [list(unbroken), list(unbroken)]
    broken = make(kind, tasks, prefetch=prefetch)
    broken.set_epoch(epoch)
    passing = iter(broken)
    first = list(islice(passing, taken))
    # Delivered, not read ahead; whoever asks for one more than there are has ended the epoch.
    state = written(broken.state_dict())
    ended = taken > len(first)
    assert (state["epoch"], state["position"]) == ((epoch + 1, 0) if ended else (epoch, taken))
    passing.close()
    resumed = make(kind, tasks, threads=threads)
    resumed.load_state_dict(state)
    if not ended:
        assert same(first + list(resumed), expected[0])
    assert same(list(resumed), expected[1])


def test_a_state_before_and_after_a_pass_is_the_beginning_of_the_next(tasks):
    loader = make("loader", tasks)
    assert (loader.state_dict()["epoch"], loader.state_dict()["position"]) == (0, 0)
    list(loader)
    assert (loader.state_dict()["epoch"], loader.state_dict()["position"]) == (1, 0)


def test_a_state_at_the_last_batch_leaves_an_empty_rest(tasks):
    loader = make("loader", tasks)
    states = [loader.state_dict() for _ in loader]
    assert states[-1]["position"] == len(loader)
    loader.load_state_dict(states[-1])
    assert list(loader) == []
    assert len(list(loader)) == len(loader)
    assert loader.epoch == 2


def test_the_state_of_one_rank_serves_another_that_has_a_batch_less(tasks):
    ranks = [make("loader", tasks, batch_size=7, rank=rank, world_size=5) for rank in range(5)]
    assert (len(ranks[0]), len(ranks[4])) == (3, 2)
    states = [ranks[0].state_dict() for _ in ranks[0]]
    ranks[4].load_state_dict(states[-1])
    assert list(ranks[4]) == []


def test_naming_the_epoch_of_the_state_keeps_the_place(tasks):
    loader = make("loader", tasks)
    loader.set_epoch(4)
    next(iter(loader))
    state = loader.state_dict()
    loader.load_state_dict(state)
    loader.set_epoch(4)
    assert len(list(loader)) == len(loader) - 1
    loader.set_epoch(4)
    assert len(list(loader)) == len(loader)
    loader.load_state_dict(state)
    loader.set_epoch(5)
    assert len(list(loader)) == len(loader)


def test_of_two_passes_the_state_is_of_the_one_begun_last(tasks):
    loader = make("loader", tasks)
    first = iter(loader)
    next(first)
    second = iter(loader)
    next(second), next(second)
    next(first), next(first)
    assert (loader.state_dict()["epoch"], loader.state_dict()["position"]) == (1, 2)


def test_the_state_of_a_worker_is_its_own_place(tasks):
    """As torchdata's StatefulDataLoader asks for it, in each worker."""
    expected = list(make("loader", tasks, batch_size=12))
    assert len(expected) % 2  # so that the last step of a worker goes beyond the end
    try:
        for number in range(2):
            torch_worker._worker_info = torch_worker.WorkerInfo(id=number, num_workers=2, seed=0, dataset=None)
            loader = make("loader", tasks, batch_size=12)
            for taken in (2, len(expected[number::2])):
                loader.set_epoch(0)
                first = list(islice(loader, taken))
                again = make("loader", tasks, batch_size=12)
                again.load_state_dict(loader.state_dict())
                assert same(first + list(again), expected[number::2])
    finally:
        torch_worker._worker_info = None


def test_endless_draws_resume_across_blocks(tasks, monkeypatch):
    monkeypatch.setattr(turns, "DRAWN_AT_ONCE", 5)
    expected = list(islice(mm.MixedBatches(tasks, 4, endless=True), 40))
    for taken in (4, 5, 17, 39):
        stream = mm.MixedBatches(tasks, 4, endless=True)
        list(islice(stream, taken))
        resumed = mm.MixedBatches(tasks, 4, endless=True)
        resumed.load_state_dict(stream.state_dict())
        assert same(list(islice(resumed, 40 - taken)), expected[taken:])


@pytest.mark.parametrize(
    ("changes", "name"),
    [({"seed": 12}, "seed"), ({"batch_size": 8}, "batch_size"), ({"rank": 0, "world_size": 2}, "world_size")],
)
@pytest.mark.parametrize("kind", ["loader", "mixed"])
def test_a_state_of_other_settings_is_refused(tasks, kind, changes, name):
    state = make(kind, tasks).state_dict()
    with pytest.raises(UsageError, match=f"{name}: the state has .*, these batches have"):
        make(kind, tasks, **changes).load_state_dict(state)


def test_a_state_of_other_data_is_refused(tasks, small_root):
    state = make("loader", tasks).state_dict()
    with pytest.raises(UsageError, match="data: the state has"):
        make("loader", [mm.load("pbc/cell class", root=small_root, split="train")]).load_state_dict(state)
    others = mm.load("pbc/cell class", root=small_root)
    others.indices = others.indices[::-1].copy()
    with pytest.raises(UsageError, match="data: the state has"):
        make("loader", [others]).load_state_dict(state)
    with pytest.raises(UsageError, match="datasets: the state has"):
        make("loader", tasks[1:]).load_state_dict(state)
    with pytest.raises(UsageError, match="batches: the state has"):
        make("mixed", tasks).load_state_dict(state)


@pytest.mark.parametrize("state", [{}, None, 3, {"epoch": 0, "position": 0}, {"epoch": 0, "made_for": {}}])
def test_what_is_no_state_is_refused(tasks, state):
    with pytest.raises(UsageError, match="no state"):
        make("loader", tasks).load_state_dict(state)


@pytest.mark.parametrize("place", [{"position": -1}, {"position": 2.5}, {"position": 10**6}, {"epoch": "x"}])
def test_a_place_that_cannot_be_is_refused(tasks, place):
    loader = make("loader", tasks)
    with pytest.raises(UsageError, match="position|epoch"):
        loader.load_state_dict({**loader.state_dict(), **place})
