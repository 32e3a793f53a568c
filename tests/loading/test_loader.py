"""Batches are the samples, in a seeded order, and stay what they are."""

import os
import pickle
import shutil
import threading

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import medimeta as mm
from medimeta.errors import StoreError, UsageError
from medimeta.learning.augment import Augmentation
from medimeta.loading import stream
from medimeta.loading.ahead import THREAD_NAME
from medimeta.loading.buffers import BufferPool
from medimeta.loading.normalize import Normalize


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
    images, _ = next(iter(mm.loader(dataset, batch_size=4, normalize=normalize, rgb=rgb)))
    raw = torch.stack([dataset[index][0] for index in range(4)]).float() / 255
    rule = Normalize(normalize, channels=dataset.channels, rgb=rgb)
    mean, std = (torch.tensor(part, dtype=torch.float32).view(1, -1, 1, 1) for part in (rule.mean, rule.std))
    expected = (raw - mean) / std
    assert images.shape[1] == (3 if rgb else dataset.channels)
    torch.testing.assert_close(images, expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(rule(raw * 255), expected, rtol=1e-5, atol=1e-5)  # the way of other devices


def test_a_dataset_that_gives_colour_gives_it_in_batches(dataset, monkeypatch):
    monkeypatch.setattr(type(dataset), "channels", property(lambda _: 3))  # as loaded with rgb=True
    images, _ = next(iter(mm.loader(dataset, 4, normalize=None)))
    assert images.shape[1] == 3
    normalised, _ = next(iter(mm.loader(dataset, 4)))
    torch.testing.assert_close(normalised, Normalize("imagenet", channels=3)(images), rtol=1e-5, atol=1e-5)


def test_last_batch_is_short_or_dropped(dataset):
    size = len(dataset) // 2 - 1
    assert [len(labels) for _, labels in mm.loader(dataset, size)][-1] == len(dataset) - 2 * size
    dropped = mm.loader(dataset, size, drop_last=True)
    assert [len(labels) for _, labels in dropped] == [size, size] == [size] * len(dropped)


def reading_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith(THREAD_NAME)]


def test_leaving_in_mid_epoch_ends_the_reading_threads(dataset):
    for _ in mm.loader(dataset, batch_size=2, threads=3):
        assert reading_threads()
        break
    assert not reading_threads()


def test_the_batches_do_not_depend_on_threads_and_read_ahead(dataset, monkeypatch):
    monkeypatch.setattr(stream, "MIN_BYTES_A_PART", 1 << 16)  # a part for each thread even of few images

    def batches(**arguments):
        loader = mm.loader(dataset, 9, shuffle=True, seed=4, augment=Augmentation(), **arguments)
        loader.set_epoch(2)
        return list(loader)

    expected = batches(threads=1, prefetch=1)
    for arguments in ({"threads": 2}, {"threads": 4, "prefetch": 5}):
        for (images, labels), (right, right_labels) in zip(batches(**arguments), expected, strict=True):
            assert torch.equal(images, right)
            assert torch.equal(labels, right_labels)


def test_two_passes_at_once_do_not_disturb_each_other(dataset):
    def labels(batches):
        return [labels.tolist() for _, labels in batches]

    alone = mm.loader(dataset, 5, shuffle=True, seed=1, normalize=None)
    expected = [labels(alone), labels(alone)]
    loader = mm.loader(dataset, 5, shuffle=True, seed=1, normalize=None)
    together = list(zip(loader, loader, strict=True))
    assert [labels([first for first, _ in together]), labels([second for _, second in together])] == expected
    assert expected[0] != expected[1]


def test_an_epoch_can_be_chosen(dataset):
    loader = mm.loader(dataset, 5, shuffle=True, seed=1, normalize=None)
    epochs = [[labels.tolist() for _, labels in loader] for _ in range(3)]
    loader.set_epoch(1)
    assert loader.epoch == 1
    assert [labels.tolist() for _, labels in loader] == epochs[1]
    assert loader.epoch == 2
    for wrong in (-1, 1.5, "1"):
        with pytest.raises(UsageError, match="epoch"):
            loader.set_epoch(wrong)


def test_an_empty_dataset_has_an_empty_epoch(dataset):
    dataset.indices = dataset.indices[:0]
    loader = mm.loader(dataset, shuffle=True)
    assert (len(loader), list(loader)) == (0, [])


def test_memory_is_used_again_all_through_an_epoch(dataset):
    loader = mm.loader(dataset, 1, prefetch=2, normalize=None)
    for _ in range(3):
        for images, _ in loader:  # noqa: B007 - holds a batch while the next is read, as users do
            pass
        del images
    assert len(loader) > 15
    assert 1 <= len(loader._transfer._pool._free) <= 4  # two ahead, one held, one that is taken over


def test_augmentation_is_seeded_by_seed_epoch_and_batch(dataset):
    drawn = []

    def augment(images, generator):
        assert images.dtype is torch.uint8
        drawn.append(torch.rand(1, generator=generator).item())
        return images.float() / 2

    def epoch(seed, **arguments):
        drawn.clear()
        loader = mm.loader(dataset, 5, seed=seed, augment=augment, normalize=None, **arguments)
        images = torch.cat([images for images, _ in loader])
        return images, list(drawn), (list(loader), drawn[len(loader) :])[1]

    images, first, second = epoch(1)
    assert torch.equal(images, torch.stack([image for image, _ in dataset]).float() / 2)
    assert len({*first, *second, *epoch(2)[1]}) == 3 * len(first)
    shares = [epoch(1, rank=rank, world_size=2)[1] for rank in range(2)]
    assert [shares[n % 2][n // 2] for n in range(len(first))] == first


def test_an_augmentation_of_the_wrong_shape_is_refused(dataset):
    for wrong in (lambda images, _: images[:1], lambda images, _: None, lambda images, _: images[:, 0]):
        with pytest.raises(UsageError, match="augment must return"):
            next(iter(mm.loader(dataset, 5, augment=wrong)))
    assert not reading_threads()


@pytest.mark.parametrize("error", [OSError("the disk is gone"), SystemExit("leave")])
def test_an_error_of_a_reading_thread_is_raised_where_its_batch_is_asked_for(dataset, monkeypatch, error):
    block, read = dataset.stored.images, dataset.stored.images.read

    def failing(indices, out, **arguments):
        if dataset.indices[12] in indices:
            raise error
        return read(indices, out, **arguments)

    monkeypatch.setattr(block, "read", failing)
    passing = iter(mm.loader(dataset, 5, prefetch=4))
    next(passing), next(passing)
    with pytest.raises(type(error), match=str(error)):
        next(passing)
    assert not reading_threads()


def test_a_dataset_that_is_cut_short_while_it_is_read_is_an_error(small_root, tmp_path):
    shutil.copytree(small_root / "pbc", tmp_path / "pbc")
    dataset = mm.load("pbc/cell class", root=tmp_path)
    passing = iter(mm.loader(dataset, 4, prefetch=1))
    next(passing)
    file = tmp_path / "pbc" / "images.hdf5"
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(StoreError, match=r"images\.hdf5"):
        list(passing)


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


@pytest.mark.parametrize(
    "arguments",
    [
        *({"batch_size": size} for size in (0, -1, 2.5, True, "8", None)),
        *({"seed": seed} for seed in (-1, 0.5, None)),
        {"threads": 0},
        {"prefetch": 0},
        {"augment": "flip"},
        {"normalize": "imagnet"},
        {"normalize": ((0.5,), (0.0,))},
        {"device": "abacus"},
        {"device": "cuda:99"},
    ],
)
def test_bad_arguments_are_refused(dataset, arguments):
    with pytest.raises(UsageError, match=f"{next(iter(arguments))}|mean and std"):
        mm.loader(dataset, **arguments)


def test_all_bad_arguments_are_named_at_once(dataset):
    with pytest.raises(UsageError, match=r"(?s)batch_size.*2\.5.*seed.*-1.*rank"):
        mm.loader(dataset, batch_size=2.5, seed=-1, rank=3)


def test_what_is_no_dataset_is_refused():
    with pytest.raises(UsageError, match=r"medimeta\.load, got str"):
        mm.loader("bus/malignancy")


def test_a_loader_pickles_without_its_memory(dataset):
    loader = mm.loader(dataset, 64)
    list(loader)
    pickled = pickle.dumps(loader)
    assert len(pickled) < 100_000
    assert torch.equal(next(iter(pickle.loads(pickled)))[0], next(iter(mm.loader(dataset, 64)))[0])


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


def test_a_dataset_of_pil_images_is_refused(built_root):
    with pytest.raises(UsageError, match="bus: gives single images as PIL.Image"):
        mm.loader(mm.load("bus", root=built_root, pil=True))


def test_an_epoch_counts_once_its_first_batch_is_asked_for(dataset):
    """Lightning calls ``iter`` before training, and drops what it gets."""
    loader = mm.loader(dataset, batch_size=8, shuffle=True, normalize=None)
    iter(loader)
    assert loader.epoch == 0
    next(iter(loader))
    assert loader.epoch == 1
