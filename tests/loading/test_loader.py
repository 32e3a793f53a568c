"""Batches are the samples, in a seeded order, and stay what they are."""

import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import medimeta as mm
from medimeta.errors import UsageError
from medimeta.loading.buffers import BufferPool


@pytest.fixture(params=["bus/case category", "pbc/cell class"])
def dataset(request, built_root):
    return mm.load(request.param, root=built_root, split=["train", "val"])


def test_batches_in_order_are_the_samples(dataset):
    images = torch.cat([images for images, _ in mm.loader(dataset, batch_size=7, normalize=None)])
    labels = torch.cat([labels for _, labels in mm.loader(dataset, batch_size=7, normalize=None)])
    singles = [dataset[index] for index in range(len(dataset))]
    assert torch.equal(images, torch.stack([image for image, _ in singles]))
    assert labels.tolist() == [label for _, label in singles]
    assert labels.dtype is torch.int64


def test_batches_that_are_kept_do_not_change_when_others_are_read(dataset):
    """Memory is reused: a batch that is still held must not be."""
    kept = list(mm.loader(dataset, batch_size=5, shuffle=True, seed=3, normalize=None))
    order = mm.loader(dataset, batch_size=5, shuffle=True, seed=3, normalize=None).order(0)
    expected = torch.stack([dataset[int(index)][0] for index in order])
    assert torch.equal(torch.cat([images for images, _ in kept]), expected)


def test_slices_of_batches_that_are_kept_do_not_change(dataset):
    loader = mm.loader(dataset, batch_size=6)
    firsts = [images[1] for images, _ in loader for _ in [0] if len(images) > 1]
    again = [images[1].clone() for images, _ in loader if len(images) > 1]
    assert all(torch.equal(left, right) for left, right in zip(firsts, again, strict=True))


def test_epochs_differ_and_repeat_with_the_seed(dataset):
    def epochs(seed):
        loader = mm.loader(dataset, batch_size=8, shuffle=True, seed=seed, normalize=None)
        return [torch.cat([labels for _, labels in loader]).tolist() for _ in range(2)]

    assert epochs(1) == epochs(1)
    assert epochs(1)[0] != epochs(1)[1]
    assert epochs(1) != epochs(2)
    assert sorted(epochs(1)[0]) == sorted(dataset.labels.tolist())


@pytest.mark.parametrize("normalize", ["imagenet", "half", ((0.2, 0.4, 0.6), (0.3, 0.2, 0.1)), ((0.5,), (0.25,))])
@pytest.mark.parametrize("rgb", [False, True])
def test_normalisation_equals_the_formula(dataset, normalize, rgb):
    from medimeta.loading.normalize import Normalize

    images, _ = next(iter(mm.loader(dataset, batch_size=4, normalize=normalize, rgb=rgb)))
    raw = torch.stack([dataset[index][0] for index in range(4)]).float() / 255
    rule = Normalize(normalize, channels=dataset.channels, rgb=rgb)
    mean, std = (torch.tensor(part, dtype=torch.float32).view(1, -1, 1, 1) for part in (rule.mean, rule.std))
    expected = (raw - mean) / std
    assert images.shape[1] == (3 if rgb else dataset.channels)
    torch.testing.assert_close(images, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(rule(raw * 255), expected, rtol=1e-5, atol=1e-5)  # the way of other devices


def test_last_batch_is_short_or_dropped(dataset):
    size = len(dataset) // 2 - 1
    assert [len(labels) for _, labels in mm.loader(dataset, size)][-1] == len(dataset) - 2 * size
    dropped = mm.loader(dataset, size, drop_last=True)
    assert [len(labels) for _, labels in dropped] == [size, size] == [size] * len(dropped)


def test_leaving_in_mid_epoch_ends_the_reading_thread(dataset):
    import threading

    for _ in mm.loader(dataset, batch_size=2):
        break
    assert not [thread for thread in threading.enumerate() if thread.name == "medimeta-read-ahead"]


def test_all_tasks_of_a_dataset_come_as_dicts(built_root):
    dataset = mm.load("bus", root=built_root, split="test")
    _, labels = next(iter(mm.loader(dataset, batch_size=3)))
    assert {name: values.shape for name, values in labels.items()} == {"case category": (3,), "malignancy": (3,)}
    assert dataset[0][1].keys() == {"case category", "malignancy"}


def test_a_plain_dataloader_works_with_workers_and_pickling(dataset):
    plain = DataLoader(dataset, batch_size=6, num_workers=2, multiprocessing_context="fork")
    ours = mm.loader(dataset, batch_size=6, normalize=None)
    for (images, labels), (expected, expected_labels) in zip(plain, ours, strict=True):
        assert torch.equal(images, expected)
        assert torch.equal(labels, expected_labels)
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[3][0], dataset[3][0])


@pytest.mark.parametrize("arguments", [{"batch_size": 0}, {"normalize": "imagnet"}, {"normalize": ((0.5,), (0.0,))}])
def test_bad_arguments_are_refused(dataset, arguments):
    with pytest.raises(UsageError):
        mm.loader(dataset, **arguments)


def test_a_dataset_with_a_transform_is_refused(built_root):
    with pytest.raises(UsageError, match="transform"):
        mm.loader(mm.load("bus", root=built_root, transform=lambda image: image))


def test_a_buffer_is_reused_only_when_nothing_of_it_is_left():
    pool = BufferPool((4, 10), np.uint8)
    first = pool.take()
    address = first.ctypes.data
    tensor = torch.from_numpy(first[1:3])
    del first
    part = tensor[0]
    del tensor
    assert pool.take().ctypes.data != address
    del part
    assert address in {pool.take().ctypes.data for _ in [0]} | {pool.take().ctypes.data}
