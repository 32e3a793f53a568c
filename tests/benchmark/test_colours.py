"""The colours of series can be told apart by people who see colours otherwise, and from what is behind them."""

import re
from importlib.resources import files
from itertools import combinations

import numpy as np
import pytest

# How linear RGB is seen without the red, and without the green cones (Machado et al. 2009, severity 1).
SIGHTS = {
    "trichromacy": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = np.array([0.9505, 1.0, 1.089])


def themes():
    """The colours of the light and of the dark theme, by name."""
    css = (files("medimeta.benchmark.report") / "templates" / "style.css").read_text(encoding="utf-8")
    light, dark = css.split("prefers-color-scheme: dark", 1)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]


def linear(colour):
    values = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(values):
    """CIE 1976 L*a*b*; a distance of 2 is just seen."""
    ratio = XYZ @ np.clip(values, 0, 1) / WHITE
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_of_series_differ_for_every_eye(theme, sight):
    colours = [themes()[theme][f"c{index}"] for index in range(6)]
    seen = [lab(np.array(SIGHTS[sight]) @ linear(colour)) for colour in colours]
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 15


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_lines_stand_out_from_the_card(theme):
    """Web Content Accessibility Guidelines 2.2, 1.4.11: a ratio of 3 for what is not text."""
    colours = themes()[theme]
    card = XYZ[1] @ linear(colours["card"])
    for index in range(6):
        line = XYZ[1] @ linear(colours[f"c{index}"])
        assert (max(line, card) + 0.05) / (min(line, card) + 0.05) > 3
