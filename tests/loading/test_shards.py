"""Ranks and workers: together they read every batch once, whoever starts them and however."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader
from torch.utils.data._utils import worker as torch_worker

import medimeta as mm
from medimeta.errors import UsageError

# Python 3.12 warns of every fork beside threads, and PyTorch has some.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")

LAW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def dataset(small_root):
    return mm.load("pbc/cell class", root=small_root)


@pytest.fixture(scope="module")
def place_of(dataset):
    places = {dataset[place][0].numpy().tobytes(): place for place in range(len(dataset))}
    assert len(places) == len(dataset)
    return places


def visited(place_of, batches):
    return [[place_of[image.numpy().tobytes()] for image in images] for images, *_ in batches]


@contextmanager
def as_worker(number, workers):
    """What a DataLoader's worker process sees, without the process."""
    torch_worker._worker_info = torch_worker.WorkerInfo(id=number, num_workers=workers, seed=0, dataset=None)
    try:
        yield
    finally:
        torch_worker._worker_info = None


@LAW
@given(
    batch_size=st.integers(1, 90),
    world_size=st.integers(1, 5),
    workers=st.integers(1, 3),
    seed=st.integers(0, 2**40),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
)
def test_ranks_and_workers_partition_the_batches(
    dataset, place_of, batch_size, world_size, workers, seed, shuffle, drop_last
):
    common = {"batch_size": batch_size, "shuffle": shuffle, "seed": seed, "drop_last": drop_last, "normalize": None}
    whole = visited(place_of, mm.loader(dataset, **common, rank=0, world_size=1))
    of_ranks = []
    for rank in range(world_size):
        shares = []
        for worker in range(workers):
            with as_worker(worker, workers):
                shares.append(visited(place_of, mm.loader(dataset, **common, rank=rank, world_size=world_size)))
        loader = mm.loader(dataset, **common, rank=rank, world_size=world_size)
        alone = visited(place_of, loader)
        assert len(alone) == len(loader)
        # As a DataLoader does: one batch of each worker in turn.
        assert [shares[n % workers][n // workers] for n in range(len(alone))] == alone
        assert sum(map(len, shares)) == len(alone)
        of_ranks.append(alone)
    assert [of_ranks[n % world_size][n // world_size] for n in range(len(whole))] == whole
    assert max(map(len, of_ranks)) - min(map(len, of_ranks)) <= 1
    if not drop_last:
        assert sorted(place for batch in whole for place in batch) == list(range(len(dataset)))


@pytest.mark.parametrize("world_size", [3, 4, 5])
def test_even_shares_have_the_same_length_and_leave_out_less_than_one_round(dataset, world_size):
    loaders = [mm.loader(dataset, 6, rank=rank, world_size=world_size, even=True) for rank in range(world_size)]
    lengths = [len(list(loader)) for loader in loaders]
    whole = len(mm.loader(dataset, 6))
    assert whole % world_size
    assert lengths == [whole // world_size] * world_size == [len(loader) for loader in loaders]


@pytest.mark.parametrize(("context", "workers"), [("fork", 2), ("spawn", 2), ("forkserver", 1)])
def test_workers_of_a_dataloader_give_the_batches_in_order(dataset, context, workers):
    loader = mm.loader(dataset, 9, shuffle=True, seed=5)
    expected = list(mm.loader(dataset, 9, shuffle=True, seed=5))
    got = list(DataLoader(loader, batch_size=None, num_workers=workers, multiprocessing_context=context))
    assert len(got) == len(expected)
    for (images, labels), (right, right_labels) in zip(got, expected, strict=True):
        assert torch.equal(images, right)
        assert torch.equal(labels, right_labels)


def test_workers_read_the_epoch_that_was_set(dataset, place_of):
    loader = mm.loader(dataset, 9, shuffle=True, seed=5, normalize=None)
    workers = DataLoader(loader, batch_size=None, num_workers=2, multiprocessing_context="fork")
    loader.set_epoch(3)
    order = [place for batch in visited(place_of, workers) for place in batch]
    assert order == loader.order(3).tolist()


def test_workers_that_persist_go_on_to_the_next_epoch(dataset, place_of):
    loader = mm.loader(dataset, 9, shuffle=True, seed=5, normalize=None)
    workers = DataLoader(
        loader, batch_size=None, num_workers=2, multiprocessing_context="fork", persistent_workers=True
    )
    for epoch in range(2):
        assert [place for batch in visited(place_of, workers) for place in batch] == loader.order(epoch).tolist()


def _leave(images, generator):
    os._exit(7)


def test_a_worker_that_dies_is_an_error_and_no_hang(dataset):
    loader = mm.loader(dataset, 9, augment=_leave)
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        list(DataLoader(loader, batch_size=None, num_workers=1, multiprocessing_context="fork"))


SCRIPT = """
import json, sys
import torch.distributed as dist
import medimeta as mm
root, meeting, rank = sys.argv[1], sys.argv[2], int(sys.argv[3])
dataset = mm.load("pbc/cell class", root=root)
early = mm.loader(dataset, 7)
dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
try:
    list(early)
    raise SystemExit("batches that were made too early were not refused")
except mm.MedimetaError as error:
    assert "after these batches were made" in str(error), error
loader = mm.loader(dataset, 7, shuffle=True, seed=3, normalize=None)
mixed = mm.MixedBatches([dataset, mm.load("bus/malignancy", root=root)], 7, seed=3, normalize=None)
mine = [
    [[hash_of(image) for image in images] for images, *_ in batches]
    for hash_of in [lambda image: hash(image.numpy().tobytes())]
    for batches in (loader, mixed)
]
mine += [len(loader), len(mixed), len(mm.loader(dataset, 7, even=True))]
all_of = [None, None]
dist.all_gather_object(all_of, mine)
if rank == 0:
    print(json.dumps(all_of))
dist.barrier()
dist.destroy_process_group()
"""


def test_two_ranks_of_torch_distributed_share_the_batches(dataset, small_root, tmp_path):
    (tmp_path / "ranks.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONHASHSEED": "0", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    ranks = [
        subprocess.Popen(
            [sys.executable, tmp_path / "ranks.py", small_root, tmp_path / "meeting", str(rank)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for rank in range(2)
    ]
    ended = [rank.communicate(timeout=120) for rank in ranks]
    assert [rank.returncode for rank in ranks] == [0, 0], ended
    (first, first_mixed, *lengths), (second, second_mixed, *other_lengths) = json.loads(ended[0][0].splitlines()[-1])
    batches = len(mm.loader(dataset, 7))
    assert (len(first), len(second)) == ((batches + 1) // 2, batches // 2) == (lengths[0], other_lengths[0])
    assert (len(first_mixed), len(second_mixed)) == (lengths[1], other_lengths[1])
    assert lengths[2] == other_lengths[2] == batches // 2
    seen = [image for batch in first + second for image in batch]
    assert len(seen) == len(set(seen)) == len(dataset)
    others = mm.load("bus/malignancy", root=small_root)
    seen = [image for batch in first_mixed + second_mixed for image in batch]
    assert len(seen) == len(set(seen)) == len(dataset) + len(others)


@pytest.mark.parametrize(
    "arguments",
    [{"rank": 0}, {"world_size": 2}, {"rank": 2, "world_size": 2}, {"rank": -1, "world_size": 2}, {"rank": 0.5}],
)
def test_bad_shares_are_refused(dataset, arguments):
    with pytest.raises(UsageError, match="rank"):
        mm.loader(dataset, **arguments)
