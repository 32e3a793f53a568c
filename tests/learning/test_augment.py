"""Variations are the flips, rotations and crops that they are called, in the paper's order."""

import math

import pytest
import torch
from torch.nn.functional import interpolate
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import rotate

from medimeta.learning.augment import Augmentation

STILL = {"horizontal_flip": 0.0, "vertical_flip": 0.0, "rotation": 0.0, "crop": 0.0}


def only(**change):
    """An augmentation that does nothing else."""
    return Augmentation(**{**STILL, **change})


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def noise(count=6, channels=3, size=32):
    return torch.randint(0, 256, (count, channels, size, size), generator=chance(9), dtype=torch.uint8)


def smooth(size=64):
    """An image of gentle waves, not symmetric in any way, on which ways to interpolate hardly differ."""
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    return (120 + 60 * torch.sin(5 * x + 2 * y) + 50 * torch.cos(7 * y - 1 + x * x))[None, None]


def test_nothing_to_vary_leaves_images_as_they_are():
    assert torch.equal(only()(noise(), chance()), noise())


@pytest.mark.parametrize(
    ("change", "dims"),
    [
        ({"horizontal_flip": 1.0}, [3]),
        ({"vertical_flip": 1.0}, [2]),
        ({"horizontal_flip": 1.0, "vertical_flip": 1.0}, [2, 3]),
    ],
)
def test_flips_are_flips(change, dims):
    torch.testing.assert_close(only(**change)(noise(), chance()), noise().float().flip(dims), rtol=0, atol=0.02)


def crop_of(images, varied, side):
    """The one offset whose region, resized, is the varied image; edges differ, as nothing lies outside a region."""
    size = images.shape[-1]
    inner = slice(2, -2)
    found = []
    for top in range(size - side + 1):
        for left in range(size - side + 1):
            region = images[..., top : top + side, left : left + side]
            resized = interpolate(region, (size, size), mode="bilinear", align_corners=False)
            if torch.allclose(resized[..., inner, inner], varied[..., inner, inner], rtol=0, atol=0.05):
                found.append((top, left))
    assert len(found) == 1
    return found[0]


def test_crops_are_regions_resized():
    images = noise(count=64, channels=1, size=28).float()
    varied = only(crop=1.0)(images, chance())
    offsets = [crop_of(before[None], after[None], 25) for before, after in zip(images, varied, strict=True)]
    assert {top for top, _ in offsets} == {left for _, left in offsets} == {0, 1, 2, 3}


def test_crops_of_224_pixels_are_200_pixels():
    maps = only(crop=1.0).maps(100, 224, chance())
    assert torch.allclose(maps[:, [0, 1], [0, 1]], torch.tensor(200 / 224))
    offsets = ((maps[:, :, 2] + 1) * 224 - 200) / 2
    torch.testing.assert_close(offsets, offsets.round(), rtol=0, atol=1e-3)
    assert 0 <= offsets.min().round() < offsets.max().round() <= 24


def test_rotations_are_rotations_about_the_centre_either_way():
    maps = only(rotation=10.0).maps(500, 224, chance())
    turns = maps[:, :, :2]
    torch.testing.assert_close(turns @ turns.mT, torch.eye(2).expand(500, 2, 2))
    torch.testing.assert_close(torch.linalg.det(turns), torch.ones(500))
    assert not maps[:, :, 2].any()
    degrees = torch.rad2deg(torch.atan2(turns[:, 1, 0], turns[:, 0, 0]))
    assert -10 <= degrees.min() < -9
    assert 9 < degrees.max() <= 10
    assert abs(degrees.mean()) < 1


def test_rotated_pixels_are_those_of_torchvision():
    image = smooth()
    augmentation = only(rotation=30.0)
    for seed in range(4):
        turn = augmentation.maps(1, 64, chance(seed))[0]
        degrees = math.degrees(math.atan2(turn[1, 0], turn[0, 0]))
        expected = rotate(image, degrees, InterpolationMode.BILINEAR)
        inner = slice(14, -14)  # corners come from outside
        torch.testing.assert_close(
            augmentation(image, chance(seed))[..., inner, inner], expected[..., inner, inner], rtol=0, atol=0.1
        )


def test_images_are_flipped_then_rotated_then_cropped():
    image = smooth().repeat(5, 1, 1, 1)
    whole = Augmentation(horizontal_flip=1.0, vertical_flip=0.0, rotation=20.0, crop=1.0)(image, chance(4))
    steps = image
    for step in (only(horizontal_flip=1.0), only(rotation=20.0), only(crop=1.0)):
        steps = step(steps, chance(4))
    inner = slice(14, -14)
    torch.testing.assert_close(whole[..., inner, inner], steps[..., inner, inner], rtol=0, atol=0.5)


def test_what_is_turned_in_from_outside_is_black():
    white = torch.full((32, 1, 40, 40), 255, dtype=torch.uint8)
    varied = only(rotation=45.0)(white, chance())
    assert varied[:, 0, 0, 0].min() == 0
    torch.testing.assert_close(varied[:, 0, 15:25, 15:25], torch.full((32, 10, 10), 255.0))


def test_the_same_state_of_chance_gives_the_same_and_the_next_differs():
    augmentation, images, generator = Augmentation(), noise(), chance(5)
    first, second = augmentation(images, generator), augmentation(images, generator)
    assert torch.equal(first, augmentation(images, chance(5)))
    assert not torch.equal(first, second)


def test_chance_comes_from_the_generator_alone():
    before = torch.get_rng_state()
    Augmentation()(noise(), chance())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_shape_and_range_are_kept(channels, kind):
    images = noise(16, channels).to(kind)
    varied = Augmentation(1.0, 0.5, 10.0, 1.0)(images, chance())
    assert (varied.shape, varied.dtype) == (images.shape, torch.float32)
    assert varied.min() >= 0
    assert varied.max() <= 255 + 1e-3
    assert torch.equal(images, noise(16, channels).to(kind))


def test_each_image_of_a_batch_is_varied_on_its_own():
    varied = Augmentation()(smooth().repeat(8, 1, 1, 1), chance())
    assert all(not torch.equal(varied[0], other) for other in varied[1:])


def test_chances_are_those_of_the_paper():
    maps = Augmentation().maps(8000, 224, chance())
    crops = torch.linalg.det(maps[:, :, :2]).abs() < 0.9
    rightwards, downwards = maps[:, 0, 0] < 0, maps[:, 1, 1] < 0
    for happened in (crops, rightwards, downwards):
        assert abs(happened.float().mean() - 0.25) < 0.02
    assert abs((rightwards & downwards).float().mean() - 1 / 16) < 0.02
    assert abs((rightwards & crops).float().mean() - 1 / 16) < 0.02
