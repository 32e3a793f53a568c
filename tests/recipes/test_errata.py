"""What release 1.0 got wrong in labels and masks is built again where that is wanted, and nothing else with it."""

import io
import zipfile
from itertools import islice

import numpy as np
import pytest
from PIL import Image, ImageOps

import medimeta as mm
from medimeta.recipes.recipe import Options, recipe_of
from medimeta.sources.find import find_original

SIZE = 64
ENOUGH = 12  # samples rendered of a dataset whose masks are said to be the same either way


def bus_samples(originals, release_errata):
    """Return, by name, what the recipe makes of the synthetic original."""
    recipe, options = recipe_of(mm.dataset("bus")), Options(SIZE, release_errata=release_errata)
    source = find_original(originals, recipe.original)
    samples = recipe.listing(source, options).samples["bus"]
    rendered = recipe.render_all(source, samples, options)
    return {sample.original_filepath: made for sample, made in zip(samples, rendered, strict=True)}


def bus_mask(originals, *names):
    """Unite masks of the synthetic original with NumPy and Pillow alone."""
    inside = []
    with zipfile.ZipFile(originals / "Dataset_BUSI.zip") as file:
        for name in names:
            data = io.BytesIO(file.read(f"Dataset_BUSI_with_GT/{name}"))
            inside.append(np.asarray(Image.open(data).convert("L")) > 0)
    mask = Image.fromarray(np.any(inside, axis=0).astype(np.uint8) * 255)
    square = ImageOps.pad(mask, (max(mask.size),) * 2, method=Image.Resampling.NEAREST, color=0)
    return np.asarray(square.resize((SIZE, SIZE), Image.Resampling.NEAREST))


def test_bus_has_the_first_mask_alone_or_the_union_with_the_first_beside_it(originals):
    stem = "benign/benign (2)"
    first = bus_mask(originals, f"{stem}_mask.png")
    union = bus_mask(originals, f"{stem}_mask.png", f"{stem}_mask_1.png")
    assert np.count_nonzero(union) > np.count_nonzero(first) > 0

    released = bus_samples(originals, release_errata=True)[f"{stem}.png"]
    assert list(released.masks) == [""]
    assert np.array_equal(released.masks[""], first)
    assert released.annotations["mask_path"] == "{mask}.tiff"

    here = bus_samples(originals, release_errata=False)[f"{stem}.png"]
    assert list(here.masks) == ["", "_first"]
    assert np.array_equal(here.masks[""], union)
    assert np.array_equal(here.masks["_first"], first)
    assert here.annotations["mask_path"] == "{mask}_first.tiff"


def test_bus_images_with_one_mask_are_the_same_either_way(originals):
    released, here = (bus_samples(originals, release_errata) for release_errata in (True, False))
    assert list(released) == list(here)
    several = [name for name in here if len(here[name].masks) > 1]
    assert several == ["benign/benign (2).png"]
    for name in here:
        assert np.array_equal(released[name].pixels, here[name].pixels), name
        if name not in several:
            assert np.array_equal(released[name].masks[""], here[name].masks[""]), name
            assert released[name].annotations == here[name].annotations


@pytest.mark.parametrize("card", [card for card in mm.datasets() if card.recipe], ids=lambda card: card.id)
def test_what_can_be_repeated_is_what_the_cards_say(originals, card):
    recipe = recipe_of(card)
    source = find_original(originals, recipe.original, [card.id], allow_partial=True)
    both = [Options(SIZE, allow_partial=True, release_errata=release_errata) for release_errata in (False, True)]
    here, released = (recipe.listing(source, options).samples[card.id] for options in both)
    said = {erratum.affects for erratum in card.errata if erratum.repeatable}

    assert [sample.original_filepath for sample in here] == [sample.original_filepath for sample in released]
    assert recipe.splits(card.id, here) == recipe.splits(card.id, released)
    assert ([sample.labels for sample in here] != [sample.labels for sample in released]) == ("labels" in said)

    pairs = zip(
        recipe.render_all(source, [sample for sample in here if not sample.streamed], both[0]),
        recipe.render_all(source, [sample for sample in released if not sample.streamed], both[1]),
        strict=True,
    )
    mask_changes = False
    for one, other in pairs if "masks" in said else islice(pairs, ENOUGH):
        assert np.array_equal(one.pixels, other.pixels)
        mask_changes |= any(not np.array_equal(one.masks[name], other.masks[name]) for name in other.masks)
        if mask_changes:
            break
    assert mask_changes == ("masks" in said)
