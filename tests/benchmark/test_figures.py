"""Plots draw the figures that they are given, and no more points than can be seen."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from sklearn.metrics import roc_curve as reference_curve
from tests.benchmark.made import history

from medimeta.benchmark.report.class_bars import class_figure
from medimeta.benchmark.report.learning_curves import Training, learning_figure
from medimeta.benchmark.report.plot import (
    TOLERANCE,
    counting_axis,
    fitted_axis,
    fitted_share_axis,
    path_data,
    series_style,
    simplified,
    svg,
    text,
)
from medimeta.benchmark.report.reliability import reliability_figure
from medimeta.benchmark.report.roc import COLOURED_CLASSES, roc_curve, roc_figure
from medimeta.benchmark.report.shots import Shots, shots_figure
from medimeta.benchmark.results import OneVsRest

scored = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]) | st.floats(0, 1)), min_size=2
).filter(lambda pairs: len({positive for positive, _ in pairs}) == 2)
coordinates = st.floats(0, 300, allow_nan=False)


def drawn(figure):
    """The figure's SVG, which must be well-formed and say what it is."""
    root = ET.fromstring(figure.svg)
    assert root.find("title").text == root.get("aria-label") != ""
    assert figure.caption.endswith(".")
    return root


def words(root):
    return [each.text for each in root.iter("text")]


def one_vs_rest(classes, count=400, seed=0, exclusive=True):
    generator = np.random.default_rng(seed)
    indices = np.arange(count) % classes
    positive = indices[:, None] == np.arange(classes)
    raw = np.exp(generator.normal(size=(count, classes)) + 1.2 * positive)
    return OneVsRest([f"class {each}" for each in range(classes)], positive, raw / raw.sum(1, keepdims=True), exclusive)


@given(scored)
def test_roc_curves_are_scikit_learns(pairs):
    positive, scores = (np.array(each) for each in zip(*pairs, strict=True))
    false, true = roc_curve(positive, scores)
    expected = reference_curve(positive, scores, drop_intermediate=False)
    assert np.allclose(false, expected[0])
    assert np.allclose(true, expected[1])
    assert np.trapezoid(true, false) == pytest.approx(roc_auc_score(positive, scores))


@given(st.lists(st.tuples(coordinates, coordinates), min_size=2, max_size=60))
@settings(deadline=None)
def test_a_simplified_line_passes_every_point(points):
    """No point is farther from what is drawn than the tolerance, a fifth of a pixel."""
    points = np.array(points)
    kept = simplified(points)
    assert np.array_equal(kept[[0, -1]], points[[0, -1]])
    starts, along = kept[:-1], np.diff(kept, axis=0)
    lengths = (along**2).sum(axis=1)
    offsets = points[:, None] - starts
    shares = np.clip((offsets * along).sum(axis=2) / np.where(lengths > 0, lengths, 1), 0, 1)
    distances = np.linalg.norm(offsets - shares[..., None] * along, axis=2).min(axis=1)
    assert distances.max() <= TOLERANCE + 1e-9


def test_a_spike_beyond_the_end_of_a_stretch_is_kept():
    """It lies on the endless line through both ends, and still not on what would be drawn."""
    points = np.array([[0.0, 0.0], [20.0, 0.0], [10.0, 0.0]])
    assert np.array_equal(simplified(points), points)


def test_a_curve_of_many_samples_takes_little_room():
    """A curve of 25,596 samples, cxr's test split, is as long as a few hundred points can be."""
    generator = np.random.default_rng(0)
    positive = generator.random(25_596) < 0.1
    false, true = roc_curve(positive, generator.normal(positive * 1.5))
    points = simplified(np.stack([false, true], axis=1) * 234)
    assert len(false) > 25_000
    assert len(points) < 300
    assert len(path_data(points)) < 3_000


def test_path_data_lead_through_the_points():
    points = np.array([[1.0, 2.0], [3.25, 2.0], [3.25, 0.0]])
    start, steps = path_data(points).removeprefix("M").split("l")
    found = np.cumsum(
        [[float(each) for each in pair.split()] for pair in [start, *re.findall(r"\S+ \S+", steps)]], axis=0
    )
    assert np.abs(found - points).max() <= 0.051  # tenths of a pixel


def test_a_point_alone_is_still_drawn():
    assert path_data(np.array([[5.0, 5.0]])) == "M5 5h0"


def test_series_differ_in_colour_or_dashes():
    styles = [series_style(index) for index in range(24)]
    assert len(set(styles)) == 24
    for one, other in pairwise(styles):
        assert all(first != second for first, second in zip(one.split(), other.split(), strict=True))


@given(st.lists(st.floats(0, 1), min_size=1))
def test_an_axis_of_shares_holds_its_values(values):
    axis = fitted_share_axis("share", values)
    assert 0 <= axis.low <= min(values) + 1e-9
    assert max(values) - 1e-9 <= axis.high <= 1
    assert 2 <= len(axis.ticks) <= 7
    assert axis.low <= axis.ticks[0][0]
    assert axis.ticks[-1][0] <= axis.high + 1e-9


@given(st.floats(1e-6, 1e6))
def test_an_axis_from_zero_holds_its_values(value):
    axis = fitted_axis("loss", [value])
    assert axis.low == 0
    assert value <= axis.high * (1 + 1e-9)
    assert 2 <= len(axis.ticks) <= 6


@given(st.integers(1, 500))
def test_epochs_are_whole_numbers(last):
    axis = counting_axis("epoch", last)
    values = [value for value, _ in axis.ticks]
    assert values == sorted(set(values))
    assert values[0] == 1
    assert values[-1] <= max(last, 1)
    assert len(values) <= 12


def test_roc_figures_tell_the_area_of_every_class():
    test = one_vs_rest(3)
    figure = roc_figure([test])
    drawn(figure)
    areas = [f"{roc_auc_score(test.positive[:, each], test.scores[:, each]):.3f}" for each in range(3)]
    assert [(entry.name, entry.value) for entry in figure.legend] == [
        *((f"class {each}", areas[each]) for each in range(3)),
        ("chance", "0.500"),
    ]
    assert len(re.findall(r'class="line c\d', figure.svg)) == 3


def test_seeds_are_lines_of_one_style():
    figure = roc_figure([one_vs_rest(2, seed=seed) for seed in range(3)])
    assert figure.svg.count('class="line c0') == figure.svg.count('class="line c1') == 3
    assert "the 3 seeds" in figure.caption


def test_of_many_classes_the_highest_and_the_lowest_are_named():
    test = one_vs_rest(COLOURED_CLASSES + 5)
    figure = roc_figure([test])
    drawn(figure)
    areas = [roc_auc_score(test.positive[:, each], test.scores[:, each]) for each in range(COLOURED_CLASSES + 5)]
    named = {entry.name: entry.value for entry in figure.legend}
    assert named[f"highest: class {int(np.argmax(areas))}"] == f"{max(areas):.3f}"
    assert named[f"lowest: class {int(np.argmin(areas))}"] == f"{min(areas):.3f}"
    assert named["mean of the classes"] == f"{np.mean(areas):.3f}"
    assert "the other 9 classes" in named


def test_classes_without_a_curve_are_named():
    test = one_vs_rest(3)
    positive = test.positive.copy()
    positive[:, 1] = False
    figure = roc_figure([OneVsRest(test.names, positive, test.scores, exclusive=False)])
    assert "without a curve: class 1." in figure.caption
    assert roc_figure([OneVsRest(test.names, np.zeros_like(positive), test.scores, exclusive=False)]) is None


def test_bars_are_means_over_seeds():
    results = [
        {"per_class": {"a": {"auroc": 0.8, "auroc_interval": (0.7, 0.9), "positives": 5}, "b": {"auroc": None}}},
        {"per_class": {"a": {"auroc": 0.9, "auroc_interval": (0.75, 0.95), "positives": 5}, "b": {"auroc": None}}},
    ]
    root = drawn(class_figure(results))
    assert words(root)[-4:] == ["a", "0.850", "b", "not defined"]
    titles = [each.text for each in root.iter("title")]
    assert "a: 0.850, 5 positives" in titles
    assert "0.700 to 0.950" in titles
    (bar,) = root.iter("rect")
    assert float(bar.get("width")) == pytest.approx((0.85 - 0.5) / 0.5 * 262, abs=0.1)


def test_a_bar_below_chance_goes_to_the_left():
    root = drawn(class_figure([{"per_class": {"a": {"auroc": 0.3}}}]))
    (bar,) = root.iter("rect")
    axis_from = 0.25
    assert float(bar.get("x")) == pytest.approx(12 + 262 * (0.3 - axis_from) / 0.75, abs=0.1)
    assert float(bar.get("width")) == pytest.approx(262 * 0.2 / 0.75, abs=0.1)


def test_long_names_are_broken_into_lines_and_whole_when_pointed_at():
    name = "Benign keratosis (solar lentigo / seborrheic keratosis / lichen planus-like keratosis)"
    root = drawn(class_figure([{"per_class": {name: {"auroc": 0.9}}}]))
    shown = [each for each in words(root) if each.startswith(("Benign", "keratosis", "sebo", "lent", "(", "/"))]
    assert len(shown) == 2
    assert all(len(line) <= 38 for line in shown)
    assert any(each.text.startswith(name) for each in root.iter("title"))


def test_no_class_has_no_bars():
    assert class_figure([{"per_class": {}}]) is None
    assert class_figure([{"per_class": {"a": {"auroc": None}}}]) is None


def test_reliability_bars_are_shares_that_came_true():
    """Of ten predictions at 0.9, six are right: one bar of height 0.6, and a gap of 0.3."""
    scores = np.tile([0.9, 0.1], (10, 1))
    right = np.arange(10) < 6
    positive = np.stack([right, ~right], axis=1)
    figure = reliability_figure([OneVsRest(["a", "b"], positive, scores, exclusive=True)], 0.3)
    root = drawn(figure)
    (bar, *_) = [each for each in root.iter("rect") if each.get("class") == "fill c0"]
    assert float(bar.get("height")) == pytest.approx(0.6 * (280 - 46 - 52), abs=0.1)
    assert "confidence 0.90, share of right predictions 0.60, 100.0 % of predictions" in figure.svg
    assert figure.legend[1].value == "0.300"


def test_learning_curves_mark_the_chosen_epoch():
    runs = [Training(seed, history(8), 7, "val_auroc") for seed in (0, 1)]
    figure = learning_figure(runs)
    root = drawn(figure)
    rings = [each for each in root.iter("circle") if "chosen" in each.get("class")]
    told = [ring.find("title").text.partition(",")[0] for ring in rings]
    assert told == ["seed 0: epoch 7 was chosen", "seed 1: epoch 7 was chosen"]
    assert [entry.value for entry in figure.legend[:2]] == ["epoch 7 of 8"] * 2
    assert learning_figure([]) is None


def test_a_loss_that_is_no_number_or_shoots_up_leaves_the_rest_to_be_seen():
    epochs = [dict(each) for each in history(8)]
    epochs[1]["train_loss"], epochs[2]["val_auroc"], epochs[3]["val_loss"] = None, None, 1e6
    root = drawn(learning_figure([Training(0, epochs, 7, "val_loss")]))
    ticks = [float(each.text) for each in root.iter("text") if re.fullmatch(r"[\d.]+", each.text)]
    assert max(ticks) < 20


def test_one_epoch_can_be_drawn():
    drawn(learning_figure([Training(0, history(1), 1, "val_auroc")]))


def test_few_shot_curves_lead_through_the_means():
    figure = shots_figure([Shots("a", ((1, 0.6, 0.02), (5, 0.7, 0.01))), Shots("b", ((5, 0.65, None),))])
    root = drawn(figure)
    titles = [each.text for each in root.iter("title")]
    assert "a, 1 shot: 60.0 ± 2.0" in titles
    assert "b, 5 shots: 65.0" in titles
    assert [(entry.name, entry.value) for entry in figure.legend] == [("a", "0.700 at 5"), ("b", "0.650 at 5")]
    assert figure.svg.count('class="band') == 1
    assert shots_figure([]) is None


def test_what_names_hold_is_text():
    hostile = "<b>&\"'"
    root = ET.fromstring(svg(10, hostile, text(0, 0, hostile, "tick")))
    assert (root.get("aria-label"), root.find("text").text) == (hostile, hostile)
