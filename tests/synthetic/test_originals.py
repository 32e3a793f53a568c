"""Synthetic originals are the same for the same seed, and have the quirks of the real ones."""

import io
import zipfile

import pytest
from PIL import Image

from medimeta.errors import UnknownNameError, UsageError
from medimeta.synthetic.originals import SMALLEST, available, write_original


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


@pytest.fixture(scope="module", params=available())
def smallest(request, tmp_path_factory):
    """The smallest archive of each dataset, with the seed of the others here."""
    return request.param, write_original(request.param, tmp_path_factory.mktemp("a"), images_per_class=SMALLEST)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(smallest, tmp_path):
    dataset, path = smallest
    same, other = (write_original(dataset, tmp_path / f"{s}", images_per_class=SMALLEST, seed=s) for s in (0, 1))
    assert same.read_bytes() == path.read_bytes()
    assert other.read_bytes() != path.read_bytes()


def test_more_images_do_not_change_those_that_were_there(smallest, members):
    dataset, path = smallest
    with zipfile.ZipFile(path) as few:
        assert len(few.namelist()) < len(members[dataset])
        assert [name for name in few.namelist() if few.read(name) != members[dataset][name]] == []


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
        ("oct", UsageError, "oct has no synthetic original yet. There are: bus, pbc."),
        ("buss", UnknownNameError, "unknown dataset 'buss'. Did you mean 'bus'"),
    ],
)
def test_datasets_that_cannot_be_imitated_are_refused(tmp_path, dataset, error, message):
    with pytest.raises(error, match=message):
        write_original(dataset, tmp_path)
