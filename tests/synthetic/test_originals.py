"""Synthetic originals are the same for the same seed, and have the quirks of the real ones."""

import io
import zipfile
from pathlib import Path

import pytest
from PIL import Image

import medimeta as mm
from medimeta.errors import UnknownNameError, UsageError
from medimeta.synthetic.originals import SMALLEST, available, write_original, write_originals


@pytest.fixture(scope="module")
def members(originals):
    """The members of each synthetic archive, by name."""

    def read(name):
        with zipfile.ZipFile(originals / name) as archive:
            return {info.filename: archive.read(info) for info in archive.infolist()}

    return {"bus": read("Dataset_BUSI.zip"), "pbc": read("PBC_dataset_normal_DIB.zip")}


def opened(members, ending):
    images = {name: data for name, data in members.items() if name.endswith(ending) and "/." not in name}
    return {name: Image.open(io.BytesIO(data)) for name, data in images.items()}


def contents(paths):
    """Return the bytes of every file of an original, those in zips (and in zips in them) apart."""
    found = {}
    for path in paths:
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file():
                found |= unpacked(str(file.relative_to(path.parent)), file.read_bytes())
    return found


def unpacked(name, data):
    if not name.endswith((".zip", ".xlsx")):
        return {name: data}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        inner = {f"{name}/{member}": archive.read(member) for member in archive.namelist() if member[-1] != "/"}
    return {key: value for member, data in inner.items() for key, value in unpacked(member, data).items()}


ONE_OF_EACH = tuple({mm.dataset(name).recipe: name for name in available()}.values())


@pytest.fixture(scope="module", params=ONE_OF_EACH)
def smallest(request, tmp_path_factory):
    """The smallest form of each original, with the seed of the others here."""
    paths = write_original(request.param, tmp_path_factory.mktemp("a"), images_per_class=SMALLEST)
    return request.param, contents(paths)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(smallest, tmp_path):
    dataset, before = smallest
    same, other = (
        contents(write_original(dataset, tmp_path / f"{seed}", images_per_class=SMALLEST, seed=seed)) for seed in (0, 1)
    )
    assert same == before
    assert other != before


def test_more_images_do_not_change_those_that_were_there(smallest, originals, tmp_path):
    dataset, few = smallest
    if dataset == "pneumonia":  # the numbers in its names depend on how many images a split has
        more = contents(write_original(dataset, tmp_path, images_per_class=SMALLEST + 1))
    else:
        more = contents(originals / name for name in sorted({Path(file).parts[0] for file in few}))
    if dataset in ("cxr", "fundus"):  # images of one lie in tarballs; findings of the other are dealt out over all
        assert more != few
        return
    assert len(more) > len(few)
    pictures = {name: data for name, data in few.items() if name.lower().endswith((".png", ".jpg", ".jpeg", ".tif"))}
    kept = [name for name, data in pictures.items() if more.get(name) == data]
    assert len(kept) >= 0.9 * len(pictures)


def test_an_original_of_several_datasets_is_written_once(tmp_path):
    [path] = write_originals(["oct", "pneumonia"], tmp_path, images_per_class=SMALLEST)
    assert path.name == "ZhangLabData.zip"


@pytest.mark.parametrize("dataset", ["bus", "pbc"])
def test_what_a_mac_leaves_behind_is_in_it(members, dataset):
    assert any(name.startswith("__MACOSX/") and "/._" in name for name in members[dataset])


def test_bus_has_the_quirks_of_the_real_one(members):
    names = members["bus"].keys()
    assert "Dataset_BUSI_with_GT/benign/Thumbs.db" in names
    assert {f"Dataset_BUSI_with_GT/benign/benign (2){ending}.png" for ending in ("", "_mask", "_mask_1")} <= names
    assert "Dataset_BUSI_with_GT/normal/normal (10).png" in names  # sorts before "normal (2).png"
    masks = opened(members["bus"], "_mask.png")
    assert {mask.mode for mask in masks.values()} == {"1", "RGB", "RGBA"}
    images = opened(members["bus"], ").png")
    assert len(images) == 30
    assert len({image.size for image in images.values()}) > 2
    assert any(max(image.size) < 224 for image in images.values())
    for name, image in images.items():
        red, green, blue = image.split()
        assert red.tobytes() == green.tobytes() == blue.tobytes()
        assert masks[name.replace(".png", "_mask.png")].size == image.size


def test_pbc_has_the_quirks_of_the_real_one(members):
    assert not members["pbc"]["PBC_dataset_normal_DIB/neutrophil/.DS_169665.jpg"].startswith(b"\xff\xd8")
    images = opened(members["pbc"], ".jpg")
    folders = {name.split("/")[1] for name in images}
    assert len(folders) == 8
    assert "ig" in folders
    assert {image.size for image in images.values()} == {(360, 363), (366, 369), (200, 201)}
    assert {image.mode for image in images.values()} == {"RGB"}


@pytest.mark.parametrize("images_per_class", [SMALLEST - 1, 0, -3])
def test_too_few_images_are_refused(tmp_path, images_per_class):
    with pytest.raises(UsageError, match=f"images_per_class must be at least {SMALLEST}, got {images_per_class}"):
        write_original("bus", tmp_path / "new", images_per_class=images_per_class)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("dataset", "error", "message"),
    [
        ("buss", UnknownNameError, "unknown dataset 'buss'. Did you mean 'bus'"),
    ],
)
def test_datasets_that_do_not_exist_are_refused(tmp_path, dataset, error, message):
    with pytest.raises(error, match=message):
        write_original(dataset, tmp_path)
