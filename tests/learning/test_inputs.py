"""Images are taken in the layouts that loading gives, and refused with all that is wrong with them."""

import contextlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from medimeta.errors import UsageError
from medimeta.learning.inputs import as_batch, evaluating, image_chunks

SIZE = 6


def pixels(count, channels, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, channels, SIZE, SIZE), dtype=np.uint8)


def chunked(images, channels, at_once=64):
    return torch.cat([*image_chunks(images, channels=channels, size=SIZE, at_once=at_once)]).numpy()


@given(st.integers(1, 5), st.sampled_from([1, 3]), st.integers(1, 7), st.booleans(), st.integers(0, 99))
def test_every_layout_means_the_same_images(count, channels, at_once, as_tensor, seed):
    """Law: whatever the layout, kind or size of chunks, the same pixels come out in the same order."""
    images = pixels(count, channels, seed)
    last = images.transpose(0, 2, 3, 1)
    layouts = [images, last, list(images), images.astype(np.int32), *([images[:, 0]] if channels == 1 else [])]
    for layout in layouts:
        given = torch.from_numpy(np.ascontiguousarray(layout)) if as_tensor and not isinstance(layout, list) else layout
        assert np.array_equal(chunked(given, channels, at_once), images)


@pytest.mark.parametrize("channels", [1, 3])
def test_one_image_may_lack_its_axis(channels):
    [image] = images = pixels(1, channels)
    singles = [image, image.transpose(1, 2, 0), torch.from_numpy(image), *([image[0]] if channels == 1 else [])]
    for single in singles:
        assert np.array_equal(chunked(single, channels), images)


def test_images_mapped_from_a_file_are_left_alone(tmp_path):
    """A tensor that shares memory with a read-only file would warn, and crash when it is written to."""
    np.save(tmp_path / "images.npy", pixels(3, 1)[:, 0])
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    for chunk in image_chunks(mapped, channels=1, size=SIZE):
        chunk.fill_(7)
    assert np.array_equal(mapped, pixels(3, 1)[:, 0])


def test_there_may_be_no_images():
    assert list(image_chunks(pixels(0, 3), channels=3, size=SIZE)) == []


@pytest.mark.parametrize(
    ("images", "channels", "problems"),
    [
        (np.zeros((2, 3, SIZE, SIZE), np.uint8), 1, ["channels: colour (3 channels), expected grey (1 channel)"]),
        (np.zeros((2, SIZE, SIZE), np.uint8), 3, ["channels: grey (1 channel), expected colour (3 channels)"]),
        (np.zeros((2, 8, 9, 3), np.uint8), 3, ["size: 9x8 pixels, expected 6x6"]),
        (np.zeros((2, 3, SIZE, SIZE), np.float32), 3, ["type: float32, expected uint8 of 0 to 255"]),
        (np.full((2, 3, SIZE, SIZE), 300), 3, ["range: 300 to 300, expected 0 to 255"]),
        (np.zeros((2, 3, SIZE, SIZE), bool), 3, ["type: bool, expected uint8"]),
        (np.zeros((2, 1, 9, 9)), 3, ["channels: grey", "size: 9x9 pixels", "type: float64"]),
        (torch.full((1, 8, 8), -1), 3, ["channels: grey", "size: 8x8", "range: -1 to -1"]),
        (np.zeros((1, 2, 3, SIZE, SIZE), np.uint8), 3, ["shape: (1, 2, 3, 6, 6) has 5 axes"]),
        (np.zeros((4, 2, SIZE, SIZE), np.uint8), 3, ["channels: 2 channels, expected colour"]),
    ],
)
def test_all_that_is_wrong_is_told_at_once(images, channels, problems):
    with pytest.raises(UsageError, match="not what the model takes") as caught:
        as_batch(images, channels=channels, size=SIZE)
    assert len(caught.value.problems) == len(problems)
    for told, expected in zip(caught.value.problems, problems, strict=True):
        assert told.startswith(expected)


def test_what_is_no_image_is_named():
    with pytest.raises(UsageError, match="expected images as a tensor or an array, got str"):
        as_batch("scan.png", channels=1, size=SIZE)
    with pytest.raises(UsageError, match=r"of one shape, got \(6, 6\), \(7, 7\)"):
        as_batch([np.zeros((6, 6), np.uint8), np.zeros((7, 7), np.uint8)], channels=1, size=SIZE)


def test_evaluation_ends_with_each_part_in_its_own_mode():
    """A frozen part stays frozen."""
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout())
    model.train()[0].eval()
    with contextlib.suppress(KeyError), evaluating(model):
        assert not any(part.training for part in model.modules())
        raise KeyError
    assert [part.training for part in model.modules()] == [True, False, True]
