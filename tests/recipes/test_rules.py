"""Built datasets hold what the rules of their original say, computed here with Pillow and NumPy alone."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageOps

import medimeta as mm
from medimeta.errors import UsageError
from medimeta.recipes.recipe import Options, recipe_by_name, recipe_of
from medimeta.sources.find import find_original
from medimeta.store.reader import open_dataset

SIZE = 224
ARCHIVES = {"bus": "Dataset_BUSI.zip", "pbc": "PBC_dataset_normal_DIB.zip"}
TREES = {"bus": "Dataset_BUSI_with_GT/", "pbc": "PBC_dataset_normal_DIB/"}


@pytest.fixture(scope="module")
def original(originals):
    """Open an image of an original by its dataset and its name in the tree."""
    files = {name: zipfile.ZipFile(originals / archive) for name, archive in ARCHIVES.items()}
    yield lambda dataset, name: Image.open(io.BytesIO(files[dataset].read(TREES[dataset] + name)))
    for file in files.values():
        file.close()


@pytest.fixture(scope="module")
def rows(built_root):
    return {name: list(open_dataset(name, built_root).annotations()) for name in ARCHIVES}


def padded(image, method):
    side = max(image.size)
    return ImageOps.pad(image, (side, side), method=method, color=0)


def bus_pixels(image):
    return padded(image.convert("L"), Image.Resampling.BICUBIC).resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def pbc_pixels(image):
    image = image.convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    if side < SIZE:
        return square.resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    square.thumbnail((SIZE, SIZE), Image.Resampling.BICUBIC)
    return square


@pytest.mark.parametrize(("dataset", "rule"), [("bus", bus_pixels), ("pbc", pbc_pixels)])
def test_every_image_is_what_the_rule_makes_of_its_original(built_root, original, rows, dataset, rule):
    images = mm.load_arrays(dataset, root=built_root).images
    for row, stored in zip(rows[dataset], images, strict=True):
        name = row["original_filepath"].replace("immature granulocyte/", "ig/")
        assert np.array_equal(stored, np.asarray(rule(original(dataset, name)))), name


def union(masks):
    inside = np.any([np.asarray(mask.convert("L")) > 0 for mask in masks], axis=0)
    square = padded(Image.fromarray(inside.astype(np.uint8) * 255), Image.Resampling.NEAREST)
    return np.asarray(square.resize((SIZE, SIZE), Image.Resampling.NEAREST))


def test_masks_are_the_union_and_the_column_names_the_first_mask_of_the_release(built_root, original, rows):
    folder = built_root / "bus"
    several = 0
    for index, row in enumerate(rows["bus"]):
        stem = row["original_filepath"].removesuffix(".png")
        masks = [original("bus", f"{stem}_mask.png")]
        if stem == "benign/benign (2)":
            masks.append(original("bus", f"{stem}_mask_1.png"))
            several += 1
        assert row["original_mask_path"] == f"{stem}_mask.png"
        assert row["mask_path"] == f"masks/{index:06d}{'_first' if len(masks) > 1 else ''}.tiff"
        with Image.open(folder / "masks" / f"{index:06d}.tiff") as stored:
            assert stored.mode == "L"
            assert np.array_equal(np.asarray(stored), union(masks)), stem
        with Image.open(folder / row["mask_path"]) as first:
            assert np.array_equal(np.asarray(first), union(masks[:1])), stem
    assert several == 1
    assert len(list((folder / "masks").iterdir())) == len(rows["bus"]) + several
    with (
        Image.open(folder / "masks" / "000002.tiff") as both,
        Image.open(folder / "masks" / "000002_first.tiff") as first,
    ):
        assert np.count_nonzero(both) > np.count_nonzero(first) > 0


@pytest.mark.parametrize(
    ("dataset", "task", "label_of"),
    [
        ("bus", "case category", lambda folder: folder),
        ("bus", "malignancy", lambda folder: "malignant finding" if folder == "malignant" else "no malignant finding"),
        ("pbc", "cell class", lambda folder: folder),
    ],
)
def test_labels_follow_the_folders(built_root, rows, dataset, task, label_of):
    card = mm.task(f"{dataset}/{task}")
    labels = mm.load_arrays(card.id, root=built_root).labels
    expected = [label_of(row["original_filepath"].split("/")[0]) for row in rows[dataset]]
    assert [card.labels[key] for key in labels.tolist()] == expected == [row[task] for row in rows[dataset]]


def test_masks_of_one_image_are_in_the_order_of_their_numbers(tmp_path):
    archive = tmp_path / "Dataset_BUSI.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for folder in ("benign", "malignant", "normal"):
            for ending in ("", "_mask_10", "_mask_2", "_mask"):
                file.writestr(f"{folder}/{folder} (1){ending}.png", b"")
    recipe = recipe_by_name("bus")
    first = recipe.listing(find_original(archive, recipe.original), Options()).samples["bus"][0]
    assert first.masks == tuple(f"benign/benign (1)_mask{number}.png" for number in ("", "_2", "_10"))


@pytest.mark.parametrize("card", [card for card in mm.datasets() if card.recipe], ids=lambda card: card.id)
def test_every_recipe_that_a_card_names_is_there(card):
    assert recipe_of(card).name == card.recipe


def test_a_dataset_without_a_recipe_is_refused():
    with pytest.raises(UsageError, match=r"bus \(Breast Ultrasound\) cannot be built yet: this version has no recipe"):
        recipe_of(mm.dataset("bus").model_copy(update={"recipe": None}))
