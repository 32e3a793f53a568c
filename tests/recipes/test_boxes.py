"""The square cut of release 1.0: its arithmetic to the letter, halves to even, black where there is no image."""

from decimal import ROUND_HALF_EVEN, Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medimeta.recipes.boxes import area, cut, ratio_box, ratio_cut

EXTENT = st.tuples(st.integers(-30, 60), st.integers(0, 60)).map(lambda ends: (ends[0], ends[0] + ends[1]))
BOX = st.tuples(EXTENT, EXTENT)
RATIO = st.sampled_from([1, 0.5, 2, 0.25, 1.5]) | st.floats(0.1, 8)


def half_to_even(number):
    return int(Decimal(number).quantize(Decimal(1), ROUND_HALF_EVEN))


def by_pixels(image, rows, columns):
    return [
        [
            int(image[row, column]) if 0 <= row < image.shape[0] and 0 <= column < image.shape[1] else 0
            for column in range(columns[0], columns[1] + 1)
        ]
        for row in range(rows[0], rows[1] + 1)
    ]


@given(box=BOX, ratio=RATIO)
def test_the_box_grows_about_its_centre_as_the_rule_says(box, ratio):
    (r0, r1), (c0, c1) = box
    rc, cc, dr, dc = (r0 + r1) // 2, (c0 + c1) // 2, r1 - r0, c1 - c0
    if dr * ratio >= dc:
        first = half_to_even(cc - dr * ratio / 2)
        expected = box[0], (first, first + half_to_even(dr * ratio))
    else:
        first = half_to_even(rc - dc / ratio / 2)
        expected = (first, first + half_to_even(dc / ratio)), box[1]
    assert ratio_box(box, ratio) == expected


@given(box=BOX, ratio=RATIO)
def test_one_side_is_kept_and_the_other_never_shrinks(box, ratio):
    squared = ratio_box(box, ratio)
    assert squared[0] == box[0] or squared[1] == box[1]
    for before, after in zip(box, squared, strict=True):
        assert after[1] - after[0] >= before[1] - before[0]


@given(box=BOX)
def test_at_ratio_one_the_cut_is_square(box):
    (top, bottom), (left, right) = ratio_box(box, 1)
    assert bottom - top == right - left == max(box[0][1] - box[0][0], box[1][1] - box[1][0])


@pytest.mark.parametrize(
    ("box", "columns"),
    [
        (((0, 1), (10, 10)), (10, 11)),  # 9.5 is rounded to 10
        (((0, 1), (11, 11)), (10, 11)),  # 10.5 as well
        (((0, 5), (11, 11)), (8, 13)),  # 8.5 is rounded to 8
    ],
)
def test_halves_are_rounded_to_even(box, columns):
    assert ratio_box(box, 1) == (box[0], columns)


def test_the_new_extent_is_rounded_to_even_too():
    assert ratio_box(((0, 5), (20, 20)), 0.5) == ((0, 5), (19, 21))  # 2.5 is rounded to 2, 18.75 to 19
    assert ratio_box(((0, 7), (20, 20)), 0.5) == ((0, 7), (18, 22))  # 3.5 is rounded to 4


@given(box=BOX, ratio=RATIO, height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 9))
@settings(deadline=None)
def test_what_lies_outside_of_the_image_is_zero(box, ratio, height, width, seed):
    image = np.random.default_rng(seed).integers(1, 256, (height, width), dtype=np.uint8)
    before = image.copy()
    rows, columns = ratio_box(box, ratio)
    found = ratio_cut(image, box, ratio)
    assert found.dtype == image.dtype
    assert found.tolist() == by_pixels(image, rows, columns)
    assert found.size == area((rows, columns))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("box", [((-9, -5), (0, 3)), ((9, 12), (0, 3)), ((0, 3), (-9, -7)), ((0, 3), (4, 6))])
def test_a_box_beside_the_image_is_black(box):
    found = cut(np.ones((4, 4), np.uint16), box)
    assert found.shape == (box[0][1] - box[0][0] + 1, box[1][1] - box[1][0] + 1)
    assert not found.any()


def test_both_ends_are_inside():
    image = np.arange(100, dtype=np.uint8).reshape(10, 10)
    assert np.array_equal(ratio_cut(image, ((2, 4), (3, 5)), 1), image[2:5, 3:6])
