"""Images from TIFF files where images.hdf5 is not there."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import medimeta as mm
from medimeta.errors import StoreError, UsageError
from medimeta.interop.released import MedIMeta
from medimeta.interop.tiff import TiffDataset, pack
from medimeta.store.images import ImageBlock


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 39), max_size=12), st.sampled_from(["grey", "colour"]))
def test_any_images_are_read_in_any_order(release, wanted, name):
    written = getattr(release, name)
    images = TiffDataset(written.folder).images
    assert np.array_equal(images.read(wanted), written.images[wanted])
    out = np.empty((len(wanted), *images.shape[1:]), np.uint8)
    assert images.read(np.array(wanted, np.int32), out) is out
    assert np.array_equal(out, ImageBlock(written.folder / "images.hdf5").read(wanted))
    pictures = MedIMeta(release.root, name, "kind", transform=np.asarray, use_hdf5=False).__getitems__(wanted)
    assert all(np.array_equal(picture, image) for (picture, _), image in zip(pictures, out, strict=True))


def test_all_images_come_at_once(release):
    assert np.array_equal(TiffDataset(release.grey.folder).images.as_memory_map(), release.grey.images)


def test_labels_and_splits_need_no_hdf5(own_release):
    (own_release.folder / "images.hdf5").unlink()
    stored = TiffDataset(own_release.folder)
    assert len(stored) == 40
    assert np.array_equal(stored.labels("grade"), own_release.labels["grade"])
    assert np.array_equal(stored.split("val"), np.sort(own_release.splits["val"]))


def test_it_pickles_small_and_has_a_fingerprint(own_release):
    stored = TiffDataset(own_release.folder)
    data = pickle.dumps(stored)
    assert b"000001" not in data
    again = pickle.loads(data)
    assert np.array_equal(again.images.read([7]), own_release.images[[7]])
    assert again.info == stored.info
    before = stored.fingerprint()
    assert again.fingerprint() == before
    np.save(own_release.folder / "task_labels" / "kind.npy", np.roll(own_release.labels["kind"], 1))
    assert TiffDataset(own_release.folder).fingerprint() != before


def test_packed_images_load_as_any(own_release):
    (own_release.folder / "images.hdf5").unlink()
    with pytest.raises(
        mm.MedimetaError, match=r"images.hdf5: is missing, but there are TIFF files.*\.tiff\.pack"
    ) as caught:
        mm.load("colour/kind", root=own_release.folder.parent)
    assert isinstance(caught.value, FileNotFoundError)
    path = pack(own_release.folder)
    assert path == own_release.folder / "images.hdf5"
    ds = mm.load("colour/kind", root=own_release.folder.parent)
    assert ds.stored.images.contiguous
    assert np.array_equal(ds.stored.images.read(range(40)), own_release.images)
    with pytest.raises(mm.MedimetaError, match="is there already"):
        pack(own_release.folder)


def test_a_disk_that_is_full_is_named(own_release, monkeypatch):
    (own_release.folder / "images.hdf5").unlink()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("medimeta.interop.tiff.h5py.File", full)
    with pytest.raises(StoreError, match=r"images.hdf5: cannot be written \(No space left on device\)"):
        pack(own_release.folder)


def test_every_gap_is_named(own_release):
    folder = own_release.folder / "images"
    for name in ("000003", "000039"):
        (folder / f"{name}.tiff").unlink()
    (folder / "000040.tiff").write_bytes(b"")
    (folder / "Thumbs.db").write_bytes(b"")
    with pytest.raises(mm.MedimetaError) as caught:
        TiffDataset(own_release.folder)
    for problem in (
        "images/000003.tiff is missing",
        "images/000039.tiff is missing",
        "000040.tiff is beyond the 40 samples",
    ):
        assert problem in str(caught.value)
    assert len(caught.value.problems) == 3


def test_a_folder_without_images_says_so(own_release):
    (own_release.folder / "images").rename(own_release.folder / "elsewhere")
    with pytest.raises(mm.MedimetaError, match="has no TIFF files such as 000000.tiff"):
        TiffDataset(own_release.folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:60]), "000005.tiff: does not decode"),
        (lambda path: path.write_bytes(b""), "000005.tiff: does not decode"),
        (lambda path: Image.new("L", (8, 8)).save(path), r"expected uint8 pixels of shape \(8, 8, 3\), got mode L"),
        (lambda path: Image.new("CMYK", (8, 8)).save(path), r"got mode CMYK of shape \(8, 8, 4\)"),
        (lambda path: Image.new("RGB", (9, 8)).save(path), r"got mode RGB of shape \(8, 9, 3\)"),
        (lambda path: path.unlink(), "000005.tiff: is missing"),
    ],
)
def test_a_bad_file_is_named_and_leaves_nothing_half_made(own_release, damage, message):
    (own_release.folder / "images.hdf5").unlink()
    images = TiffDataset(own_release.folder).images
    damage(own_release.folder / "images" / "000005.tiff")
    assert np.array_equal(images.read([4, 6]), own_release.images[[4, 6]])
    with pytest.raises(mm.MedimetaError, match=message):
        images.read([4, 5])
    with pytest.raises(mm.MedimetaError, match="000005.tiff"):
        pack(own_release.folder)
    assert not [path for path in own_release.folder.iterdir() if "hdf5" in path.name]


@pytest.mark.parametrize("mode", ["1", "P", "I;16"])
def test_grey_images_have_eight_bits(own_release, mode):
    info = own_release.folder / "info.yaml"
    info.write_text(info.read_text().replace("- 3\n", "- 1\n", 1))
    Image.new(mode, (8, 8)).save(own_release.folder / "images" / "000005.tiff")
    with pytest.raises(
        mm.MedimetaError, match=rf"000005.tiff: expected uint8 pixels of shape \(8, 8\), got mode {mode}"
    ):
        TiffDataset(own_release.folder).images.read([5])


@pytest.mark.parametrize("index", [-1, 40])
def test_indices_out_of_range_are_refused(release, index):
    with pytest.raises(IndexError, match=f"sample {index} is out of range; there are 40"):
        TiffDataset(release.grey.folder).images.read([0, index])
    with pytest.raises(ValueError, match="out must be a uint8 array of shape"):
        TiffDataset(release.grey.folder).images.read([0], np.empty((2, 8, 8), np.uint8))


@pytest.mark.parametrize("indices", [[1.5], [True, False], ["1"], [[0]]])
def test_what_is_no_index_is_refused_as_elsewhere(release, indices):
    with pytest.raises(UsageError, match="indices must be a sequence of whole numbers"):
        TiffDataset(release.grey.folder).images.read(indices)
