"""Images are stacked as they lie, and are tensors like any other in all else."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, default_collate

import medimeta as mm
from medimeta.loading.stacking import PixelByPixel


def images(count=4, size=5, channels=3):
    stored = np.random.default_rng(count).integers(0, 256, (count, size, size + 1, channels), dtype=np.uint8)
    views = torch.from_numpy(stored).permute(0, 3, 1, 2)
    return [view.as_subclass(PixelByPixel) for view in views], views


@pytest.mark.parametrize("channels", [1, 3])
def test_a_stack_is_the_images_and_a_copy(channels):
    pixels, views = images(channels=channels)
    batch = torch.stack(pixels)
    assert type(batch) is torch.Tensor
    assert torch.equal(batch, views)
    assert batch.is_contiguous(memory_format=torch.channels_last)
    batch.zero_()
    assert views.any()


@pytest.mark.parametrize("dim", [1, -1, 3])
def test_other_ways_to_stack_are_pytorchs(dim):
    pixels, views = images()
    assert torch.equal(torch.stack(pixels, dim), torch.stack(list(views), dim))
    assert torch.equal(torch.stack(pixels, dim=dim), torch.stack(list(views), dim))


def test_what_cannot_be_stacked_is_refused_as_ever():
    pixels, _ = images()
    for wrong in ([pixels[0], pixels[1][:, 1:]], [pixels[0], pixels[1][0]], []):
        with pytest.raises((RuntimeError, TypeError)):
            torch.stack([*wrong[:1], *wrong[1:]])


def test_images_that_lie_in_other_ways_stack_too():
    pixels, views = images()
    mixed = [pixels[0], views[1].contiguous(), pixels[2].flip(2)]
    assert torch.equal(torch.stack(mixed), torch.stack([views[0], views[1], views[2].flip(2)]))


@pytest.mark.parametrize("shared", [False, True])
def test_a_stack_into_memory_that_is_given_is_right_there(shared):
    pixels, views = images()
    out = torch.empty(views.shape, dtype=torch.uint8)
    if shared:
        out.share_memory_()
    stacked = torch.stack(pixels, 0, out=out)
    assert stacked is out
    assert torch.equal(out, views)
    assert out.is_contiguous() != shared


def test_a_dataloader_and_its_workers_give_channels_last(built_root):
    dataset = mm.load("pbc/cell class", root=built_root, split="val")
    expected = torch.stack([image.contiguous() for image, _ in dataset])
    for workers in (0, 1):
        options = {"num_workers": workers, "multiprocessing_context": "fork"} if workers else {}
        [(batch, _)] = DataLoader(dataset, batch_size=len(dataset), **options)
        assert type(batch) is torch.Tensor
        assert torch.equal(batch, expected)
        assert batch.is_contiguous(memory_format=torch.channels_last)


def test_images_that_are_not_collated_come_from_workers_as_they_are(built_root):
    dataset = mm.load("pbc/cell class", root=built_root, split="val")
    loader = DataLoader(dataset, batch_size=3, num_workers=1, multiprocessing_context="fork", collate_fn=list)
    found = [image for batch in loader for image, _ in batch]
    assert torch.equal(default_collate(found), default_collate([image for image, _ in dataset]))


def test_single_images_are_plain_tensors(built_root):
    dataset = mm.load("pbc/cell class", root=built_root)
    assert type(dataset[0][0]) is torch.Tensor
    [(image, _)] = dataset.__getitems__([0])
    assert isinstance(image, torch.Tensor)
    assert type(image.float()) is type(image[0]) is type(image + image) is torch.Tensor
    assert repr(image[0]).startswith("tensor(")
