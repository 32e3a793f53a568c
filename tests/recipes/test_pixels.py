"""The pixel rules are Pillow's operations, at full resolution first."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from medimeta.errors import DamagedSourceError
from medimeta.recipes import pixels

BICUBIC, NEAREST = Image.Resampling.BICUBIC, Image.Resampling.NEAREST
SIDE = st.integers(1, 300)
MODE = st.sampled_from(["L", "RGB"])


def noise(width, height, mode, seed=0):
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def same(one, other):
    return (one.mode, one.size, one.tobytes()) == (other.mode, other.size, other.tobytes())


@given(width=SIDE, height=SIDE, mode=MODE)
@settings(deadline=None, max_examples=50)
def test_padding_centres_the_image_on_a_black_square(width, height, mode):
    image = noise(width, height, mode)
    padded, side = pixels.pad(image), max(width, height)
    assert same(padded, ImageOps.pad(image, (side, side), method=BICUBIC, color=0))
    left, top = round((side - width) * 0.5), round((side - height) * 0.5)
    expected = Image.new(mode, (side, side))
    expected.paste(image, (left, top))
    assert same(padded, expected)


@given(width=SIDE, height=SIDE, mode=MODE)
@settings(deadline=None, max_examples=50)
def test_cropping_takes_the_centred_square(width, height, mode):
    image = noise(width, height, mode)
    array, side = np.asarray(image), min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    assert np.array_equal(np.asarray(pixels.crop(image)), array[top : top + side, left : left + side])


@given(side=SIDE, size=st.integers(8, 256), mode=MODE)
@settings(deadline=None, max_examples=50)
def test_a_thumbnail_shrinks_as_pillow_does_and_enlarges_what_is_smaller(side, size, mode):
    image = noise(side, side, mode)
    before = image.tobytes()
    scaled = pixels.thumbnail(image, size)
    expected = image.copy()
    if side < size:
        expected = expected.resize((size, size), BICUBIC)
    else:
        expected.thumbnail((size, size), BICUBIC)
    assert same(scaled.image, expected)
    assert scaled.image.size == (size, size)
    assert scaled.enlarged == (side < size)
    assert image.tobytes() == before


@given(side=SIDE, size=st.integers(8, 256), mode=MODE)
@settings(deadline=None, max_examples=50)
def test_resizing_is_bicubic_up_and_down(side, size, mode):
    image = noise(side, side, mode)
    scaled = pixels.resize(image, size)
    assert same(scaled.image, image.resize((size, size), BICUBIC))
    assert scaled.enlarged == (side < size)


def test_a_thumbnail_is_not_a_resize():
    image = noise(900, 900, "RGB")
    assert not same(pixels.thumbnail(image, 100).image, pixels.resize(image, 100).image)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
@pytest.mark.parametrize("wanted", ["L", "RGB"])
def test_modes_are_converted_as_pillow_does_and_named(mode, wanted):
    image = noise(9, 7, "RGB").convert(mode)
    converted, old = pixels.to_mode(image, wanted)
    assert same(converted, image.convert(wanted))
    assert old == (None if mode == wanted else mode)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_more_than_eight_bits_are_refused_before_they_are_cut_off(mode):
    image = noise(9, 7, "L").convert("I").convert(mode)
    with pytest.raises(DamagedSourceError, match=f"here.png: has colour mode {mode}.*expected 8 bits"):
        pixels.to_mode(image, "L", "here.png")


def mask(width, height, rows, columns, mode="L"):
    values = np.zeros((height, width), np.uint8)
    values[rows, columns] = 255
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("modes", [("L", "L"), ("1", "RGB"), ("RGBA", "1"), ("RGB", "P")])
def test_masks_are_united_in_whatever_mode_they_are(modes):
    first, second = slice(0, 4), slice(6, 9)
    masks = [mask(20, 10, rows, rows, mode) for rows, mode in zip((first, second), modes, strict=True)]
    united = pixels.union_mask(masks, 20)
    expected = np.zeros((20, 20), np.uint8)
    for rows in (first, second):
        expected[rows.start + 5 : rows.stop + 5, rows] = 255
    assert united.dtype == np.uint8
    assert np.array_equal(united, expected)


@given(width=st.integers(1, 120), height=st.integers(1, 120), size=st.integers(8, 96), seed=st.integers(0, 9))
@settings(deadline=None, max_examples=50)
def test_a_mask_is_padded_and_scaled_without_new_values(width, height, size, seed):
    image = noise(width, height, "1", seed)
    side = max(width, height)
    square = ImageOps.pad(image.convert("L"), (side, side), method=NEAREST, color=0)
    united = pixels.union_mask([image], size)
    assert np.array_equal(united, np.asarray(square.resize((size, size), NEAREST)))
    assert set(np.unique(united)) <= {0, 255}


def test_whatever_is_not_black_is_inside():
    assert pixels.union_mask([Image.new("L", (8, 8), 1)], 8).min() == 255


def test_masks_of_two_sizes_are_united_as_each_is_scaled():
    masks = [mask(20, 10, slice(0, 4), slice(0, 4)), mask(40, 40, slice(20, 30), slice(20, 30))]
    united = pixels.union_mask(masks, 20)
    assert np.array_equal(united, np.maximum(*(pixels.union_mask([each], 20) for each in masks)))
