"""LiTS: boxes and volumes matched by name, slices cut as release 1.0 did, each volume read once for three planes."""

import io
import json
import re
import shutil
import weakref
import zipfile
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

import medimeta as mm
from medimeta.errors import DamagedSourceError, SourceError, SourceNotFoundError, TableError
from medimeta.recipes import lits, lits_boxes
from medimeta.recipes.lits import RECIPE
from medimeta.recipes.recipe import Options, Rendered
from medimeta.recipes.refusal import refuse_misfits
from medimeta.recipes.splits import random_split
from medimeta.sources.archive import Archive
from medimeta.sources.find import find_original
from medimeta.sources.mounted import MountedArchive
from medimeta.synthetic.lits import write

AXES = {"organs_axial": 2, "organs_coronal": 1, "organs_sagittal": 0}
NAMES = {
    "lung-l": "left lung",
    "lung-r": "right lung",
    "kidney-l": "left kidney",
    "kidney-r": "right kidney",
    "femur-l": "left femoral head",
    "femur-r": "right femoral head",
}
TRAINING = [0, 1, 2, 28, 29]  # volumes with voxel sizes of a synthetic original of 5 images per class
DROPPED = 130
TESTS = [0, 1, 59]


@pytest.fixture(scope="module")
def download(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("download")
    write(folder, 5, 0)
    return folder


@pytest.fixture(scope="module")
def tree(download, tmp_path_factory) -> Path:
    """The same, extracted as sources.md describes it; not to be changed."""
    folder = tmp_path_factory.mktemp("tree")
    for name, place in {
        "Training_Batch1.zip": "LITS Challenge",
        "Training_Batch2.zip": "LITS Challenge",
        "LITS-Challenge-Test-Data.zip": "",
        "annotations for lits/annotations_of_training_set.zip": "annotations for lits/annotations_of_training_set",
        "annotations for lits/annotations_of_testing_set.zip": "annotations for lits/annotations_of_testing_set",
    }.items():
        shutil.unpack_archive(download / name, folder / place)
    shutil.rmtree(folder / "LITS Challenge" / "__MACOSX")
    return folder


@pytest.fixture
def copy(tree, tmp_path) -> Path:
    """An extracted copy that a test may change."""
    return shutil.copytree(tree, tmp_path / "copy")


def list_at(path, **options):
    source = find_original(path, RECIPE.original, list(AXES), allow_partial=options.get("allow_partial", False))
    listing = RECIPE.listing(source, Options(**options))
    refuse_misfits(listing, str(path), allow_partial=True)
    return source, listing


def comparable(listing):
    return {
        dataset: [(s.original_filepath, s.labels, s.original_split, s.group, s.annotations, s.details) for s in samples]
        for dataset, samples in listing.samples.items()
    }


def find(folder, name):
    (path,) = folder.rglob(name)
    return path


def boxes_of(tree, kind, number):
    lines = find(tree, f"{kind}segmentation-{number}.txt").read_text().split("\n")
    return [(words[0], words[1], [int(word) for word in words[2:]]) for line in lines if (words := line.split())]


def training_splits():
    splits = dict(zip(TRAINING, random_split(TRAINING, (85, 15)), strict=True))
    return {split: [number for number in TRAINING if splits[number] == split] for split in ("train", "val")}


def expected_order():
    splits = training_splits()
    return [("", number) for split in ("train", "val") for number in splits[split]] + [("test-", n) for n in TESTS]


def test_samples_are_ordered_by_split_then_volume_then_line(tree):
    _, listing = list_at(tree)
    assert (listing.missing, listing.unnamed) == ([], [])
    assert list(listing.samples) == list(AXES)
    expected = [
        (f"{kind}volume-{number}", organ)
        for kind, number in expected_order()
        for organ, *_ in boxes_of(tree, kind, number)
    ]
    for dataset, samples in listing.samples.items():
        assert [(s.annotations["volume"], s.labels["organ label"]) for s in samples] == [
            (volume, NAMES.get(organ, organ)) for volume, organ in expected
        ]
        splits = RECIPE.splits(dataset, samples)
        assert splits == sorted(splits, key=("train", "val", "test").index)
        assert Counter(splits) == {"train": 43, "val": 11, "test": 33}
        for split in ("train", "val", "test"):
            organs = {s.labels["organ label"] for s, own in zip(samples, splits, strict=True) if own == split}
            assert organs == set(mm.task(f"{dataset}/organ label").classes)


def test_volumes_are_split_in_the_order_of_their_numbers_not_of_the_samples(tree):
    _, listing = list_at(tree)
    for dataset, samples in listing.samples.items():
        of_volume = {}
        for sample, split in zip(samples, RECIPE.splits(dataset, samples), strict=True):
            of_volume.setdefault(sample.annotations["volume"], set()).add(split)
        for split, numbers in training_splits().items():
            assert all(of_volume[f"volume-{number}"] == {split} for number in numbers)
        assert all(of_volume[f"test-volume-{number}"] == {"test"} for number in TESTS)


def test_the_split_of_111_volumes_is_that_of_their_sorted_numbers():
    numbers = [number for number in range(131) if number not in range(28, 48)]
    expected = dict(zip(numbers, random_split(numbers, (85, 15)), strict=True))
    groups = [("train", number) for number in numbers]
    found = lits._splits([("test", 7), *sorted(groups, key=lambda group: expected[group[1]]), ("test", 3)])
    assert found == {("train", n): split for n, split in expected.items()} | dict.fromkeys(
        [("test", 3), ("test", 7)], "test"
    )
    assert Counter(found.values()) == {"train": 94, "val": 17, "test": 2}


def test_paths_are_those_of_the_release(tree):
    for sample in list_at(tree)[1].samples["organs_axial"]:
        kind, number = sample.group
        folder = "LITS-Challenge-Test-Data/test-"
        if kind == "train":
            folder = f"LITS Challenge/Training Batch {1 if number <= 27 else 2}/"
        assert sample.original_filepath == f"{folder}volume-{number}.nii"
        assert sample.original_split == kind


def test_annotations_say_where_the_slice_lies(tree):
    _, listing = list_at(tree)
    for dataset, axis in AXES.items():
        samples = iter(listing.samples[dataset])
        for kind, number in expected_order():
            header = nibabel.load(find(tree, f"{kind}volume-{number}.nii")).header
            shape, sizes = list(header.get_data_shape()), [round(float(size), 6) for size in header.get_zooms()]
            if (kind, number) == ("test-", 59):
                shape, sizes = [shape[0], shape[2], shape[1]], [sizes[0], sizes[2], sizes[1]]
            for _, index, ends in boxes_of(tree, kind, number):
                annotations = dict(next(samples).annotations)
                assert json.loads(annotations.pop("volume_shape")) == shape
                assert json.loads(annotations.pop("voxel_sizes")) == sizes
                assert annotations == {
                    "volume": f"{kind}volume-{number}",
                    "organ_index": index,
                    **dict(zip(("x_min", "x_max", "y_min", "y_max", "z_min", "z_max"), map(str, ends), strict=True)),
                    "slice_index": str((ends[2 * axis] + ends[2 * axis + 1]) // 2),
                }


def test_volumes_without_voxel_sizes_are_dropped_with_every_box(tree):
    _, listing = list_at(tree)
    place = f"{tree / 'annotations for lits' / 'annotations_of_training_set'}: segmentation-{DROPPED}.txt, line"
    for dataset in AXES:
        assert listing.dropped[dataset] == [
            f"{place} {line}: volume-{DROPPED}.nii has no voxel sizes (all are 1)" for line in range(1, 12)
        ]
        assert DROPPED not in {s.group[1] for s in listing.samples[dataset]}


def test_a_volume_of_which_one_voxel_size_is_not_1_is_kept(copy):
    volume = find(copy, f"volume-{DROPPED}.nii")
    data = bytearray(volume.read_bytes())
    data[88:92] = np.float32(1.5).tobytes()  # pixdim[3]
    volume.write_bytes(data)
    _, listing = list_at(copy)
    assert listing.dropped["organs_axial"] == []
    assert DROPPED in {s.group[1] for s in listing.samples["organs_axial"]}


def expected_slice(tree, kind, number, organ, axis):
    """The rule anew, with nibabel: image and mask before scaling, and the whole plane of the mask."""
    loaded = nibabel.load(find(tree, f"{kind}volume-{number}.nii"))
    voxels, sizes = loaded.get_fdata(), [float(size) for size in loaded.header.get_zooms()]
    if (kind, number) == ("test-", 59):
        voxels, sizes = voxels.swapaxes(1, 2), [sizes[0], sizes[2], sizes[1]]
    (ends,) = (ends for name, _, ends in boxes_of(tree, kind, number) if name == organ)
    pairs = [ends[0:2], ends[2:4], ends[4:6]]
    place = sum(pairs[axis]) // 2
    first, second = [other for other in (0, 1, 2) if other != axis]
    grey = np.uint8(np.clip((voxels.take(place, axis) + 150) / 400, 0, 1) * 255)
    (r0, r1), (c0, c1), q = pairs[first], pairs[second], sizes[first] / sizes[second]
    if (r1 - r0) * q >= c1 - c0:
        extent = round((r1 - r0) * q)
        c0 = round((c0 + c1) // 2 - (r1 - r0) * q / 2)
        c1 = c0 + extent
    else:
        extent = round((c1 - c0) / q)
        r0 = round((r0 + r1) // 2 - (c1 - c0) / q / 2)
        r1 = r0 + extent

    def squared(plane):
        return np.pad(plane, 100)[r0 + 100 : r1 + 101, c0 + 100 : c1 + 101]

    leaves = r0 < 0 or c0 < 0 or r1 >= grey.shape[0] or c1 >= grey.shape[1]
    if kind:
        return squared(grey), None, None, grey.shape, leaves
    tumour = np.uint8(nibabel.load(find(tree, f"segmentation-{number}.nii")).get_fdata().take(place, axis) == 2) * 255
    return squared(grey), squared(tumour), tumour, grey.shape, leaves


def scaled(array, method, size=224):
    return np.asarray(Image.fromarray(array).resize((size, size), method))


BICUBIC, NEAREST = Image.Resampling.BICUBIC, Image.Resampling.NEAREST


@pytest.mark.parametrize("dataset", AXES)
@pytest.mark.parametrize("form", ["tree", "download"])
def test_every_image_and_mask_is_what_the_rule_makes_of_the_volume(request, tree, dataset, form):
    source, listing = list_at(request.getfixturevalue(form))
    rendered = iter(RECIPE.render_all(source, listing.samples[dataset], Options()))
    leaving, tumours = 0, 0
    for kind, number in expected_order():
        for organ, *_ in boxes_of(tree, kind, number):
            grey, mask, _, plane, leaves = expected_slice(tree, kind, number, organ, AXES[dataset])
            found = next(rendered)
            assert isinstance(found, Rendered)
            assert np.array_equal(found.pixels, scaled(grey, BICUBIC)), (kind, number, organ)
            assert (found.original_size, found.enlarged, found.converted_from) == (plane[::-1], True, None)
            if kind:
                assert (found.masks, found.annotations) == ({}, {"tumour_mask_path": ""})
            else:
                assert list(found.masks) == ["_tumour"]
                assert np.array_equal(found.masks["_tumour"], scaled(mask, NEAREST))
                assert found.annotations == {"tumour_mask_path": "{mask}_tumour.tiff"}
                tumours += bool(mask.any())
            leaving += leaves
    assert next(rendered, None) is None
    assert leaving
    assert tumours >= len(TRAINING)


def test_the_mask_of_the_release_is_not_cut(tree):
    source, listing = list_at(tree, release_errata=True)
    sample = listing.samples["organs_coronal"][0]
    assert sample.labels == {"organ label": "liver"}
    number = sample.group[1]
    grey, cut, whole, *_ = expected_slice(tree, "", number, "liver", AXES["organs_coronal"])
    found = RECIPE.render(source, sample, Options(release_errata=True))
    assert np.array_equal(found.masks["_tumour"], scaled(whole, NEAREST))
    assert not np.array_equal(found.masks["_tumour"], scaled(cut, NEAREST))
    assert np.array_equal(found.pixels, scaled(grey, BICUBIC))


def test_the_liver_is_no_tumour(tree):
    source, listing = list_at(tree)
    sample = listing.samples["organs_axial"][0]
    number = sample.group[1]
    labels = nibabel.load(find(tree, f"segmentation-{number}.nii")).get_fdata()
    assert {0, 1, 2} <= set(np.unique(labels.take(sample.details.index, 2)))
    mask = RECIPE.render(source, sample, Options()).masks["_tumour"]
    assert 0 < np.count_nonzero(mask) < 0.5 * mask.size
    assert set(np.unique(mask)) == {0, 255}


def test_other_sizes_are_scaled_from_the_same_cut(tree):
    source, listing = list_at(tree)
    sample = listing.samples["organs_axial"][-1]
    assert sample.group == ("test", 59)
    grey = expected_slice(tree, "test-", 59, boxes_of(tree, "test-", 59)[-1][0], 2)[0]
    found = RECIPE.render(source, sample, Options(8))
    assert np.array_equal(found.pixels, scaled(grey, BICUBIC, 8))
    assert not found.enlarged


def test_the_window_is_cut_off_not_rounded_and_no_number_is_black():
    values = np.array([[-2000.0, -150.0, -149.0, 50.0, 249.9, 250.0, 3000.0, np.nan, np.inf, -np.inf]])
    assert lits._windowed(values).tolist() == [[0, 0, 0, 127, 254, 255, 255, 0, 255, 0]]


def in_units(samples):
    """Samples of all planes as the engine brings them together: by volume."""
    together = [sample for plane in samples.values() for sample in plane]
    return sorted(together, key=lambda sample: sample.unit)


@pytest.mark.parametrize("form", ["tree", "download"])
def test_a_volume_is_read_once_for_all_planes_and_let_go_before_the_next(request, monkeypatch, form):
    source, listing = list_at(request.getfixturevalue(form))
    opened = []
    voxels = []

    def once(source, member):
        assert not any(other() is not None for other in voxels), "another volume is still in memory"
        opened.append(member.rpartition("/")[2])
        volume = real(source, member)
        voxels.append(weakref.ref(volume.voxels))
        return volume

    real = lits.open_volume
    monkeypatch.setattr(lits, "open_volume", once)
    samples = in_units(listing.samples)
    rendered = list(RECIPE.render_all(source, samples, Options()))
    assert len(rendered) == len(samples) == 3 * 87
    assert Counter(opened) == Counter(
        [f"{what}-{number}.nii" for number in TRAINING for what in ("volume", "segmentation")]
        + [f"test-volume-{number}.nii" for number in TESTS]
    )
    alone = [RECIPE.render(source, sample, Options()) for sample in samples[::20]]
    for one, other in zip(alone, rendered[::20], strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert np.array_equal(one.masks.get("_tumour", 0), other.masks.get("_tumour", 0))


def test_samples_of_all_planes_share_the_unit_and_declare_what_is_read(tree):
    _, listing = list_at(tree)
    for planes in zip(*listing.samples.values(), strict=True):
        assert len({(s.unit, s.member, s.group, s.labels["organ label"], s.masks) for s in planes}) == 1
        (sample, *_) = planes
        assert sample.unit == sample.member
        assert sample.member.endswith(f"volume-{sample.group[1]}.nii")
        segmentation = (sample.member.replace("/volume-", "/segmentation-"),)
        assert sample.masks == (segmentation if sample.group[0] == "train" else ())


def test_listing_reads_headers_and_no_voxels(tree, monkeypatch):
    monkeypatch.setattr(lits, "open_volume", lambda *_: pytest.fail("a volume was opened"))
    list_at(tree)


def as_downloaded(download, tree, place):
    return download


def as_described(download, tree, place):
    return tree


def as_one_zip(download, tree, place):
    return Path(shutil.make_archive(str(place / "all"), "zip", tree))


def as_zips_in_a_zip(download, tree, place):
    path = place / "everything.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(download.rglob("*.zip")):
            archive.write(file, file.relative_to(download))
    return path


def as_boxes_in_an_outer_zip(download, tree, place):
    shutil.copytree(tree / "LITS Challenge", place / "new" / "LITS Challenge")
    shutil.copytree(tree / "LITS-Challenge-Test-Data", place / "new" / "LITS-Challenge-Test-Data")
    shutil.make_archive(str(place / "new" / "annotations for lits"), "zip", download, "annotations for lits")
    return place / "new"


def as_one_level_lower(download, tree, place):
    for name in ("LITS Challenge", "annotations for lits"):
        for inner in (tree / name).iterdir():
            shutil.copytree(inner, place / "new" / inner.name)
    shutil.copytree(tree / "LITS-Challenge-Test-Data", place / "new" / "LITS-Challenge-Test-Data")
    return place / "new"


def as_one_level_higher(download, tree, place):
    shutil.copytree(tree, place / "new" / "my copy")
    return place / "new"


def as_folders_of_the_names_of_the_archives(download, tree, place):
    for archive in download.glob("*.zip"):
        shutil.unpack_archive(archive, place / "new" / archive.stem)
    shutil.copytree(tree / "annotations for lits", place / "new" / "annotations for lits")
    return place / "new"


def as_archives_with_a_long_way_in(download, tree, place):
    shutil.copytree(download, place / "new")
    for batch in (1, 2):
        deep = place / "deep" / str(batch)
        shutil.copytree(
            tree / "LITS Challenge" / f"Training Batch {batch}",
            deep / "media" / "nas" / "01_Datasets" / "CT" / "LITS" / f"Training Batch {batch}",
        )
        shutil.make_archive(str(place / "new" / f"Training_Batch{batch}"), "zip", deep)
    return place / "new"


def as_one_heap(download, tree, place):
    (place / "heap").mkdir()
    for file in [*tree.rglob("*.nii"), *tree.rglob("*.txt")]:
        shutil.copy(file, place / "heap")
    return place / "heap"


def as_names_in_other_case(download, tree, place):
    for file in [*tree.rglob("*.nii"), *tree.rglob("*.txt")]:
        new = place / "new" / file.relative_to(tree).parent / file.name.upper()
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, new)
    (place / "new" / "LITS Challenge" / "Training Batch 1").rename(
        place / "new" / "LITS Challenge" / "training_batch_1"
    )
    return place / "new"


def as_text_of_another_system(download, tree, place):
    shutil.copytree(tree, place / "new")
    for number, file in enumerate(sorted((place / "new").rglob("*.txt"))):
        lines = file.read_text().split("\n")
        ending, mark = ("\n", b"\xef\xbb\xbf") if number % 2 else ("\r\n\r\n", b"")
        file.write_bytes(mark + ending.join("  ".join(line.split()) + "\t" for line in lines).encode())
    return place / "new"


FORMS = [value for name, value in list(globals().items()) if name.startswith("as_")]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_the_listing_is_the_same_in_whatever_form_people_keep_it(download, tree, tmp_path, form):
    source, listing = list_at(form(download, tree, tmp_path))
    assert (listing.missing, listing.unnamed) == ([], [])
    if form is as_text_of_another_system:  # lines have other numbers
        assert Counter(map(len, listing.dropped.values())) == {11: 3}
    expected = list_at(tree)[1]
    assert comparable(listing) == comparable(expected)
    sample = listing.samples["organs_sagittal"][-1]
    found = RECIPE.render(source, sample, Options())
    organ = boxes_of(tree, "test-", 59)[-1][0]
    assert np.array_equal(found.pixels, scaled(expected_slice(tree, "test-", 59, organ, 0)[0], BICUBIC))


def rewrite_boxes(copy, kind, number, change):
    path = find(copy, f"{kind}segmentation-{number}.txt")
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()]
    change(lines)
    path.write_text("".join(" ".join(line) + "\r\n" for line in lines), newline="")
    return path


def test_boxes_that_do_not_fit_are_told_all_at_once(copy):
    def change(lines):
        lines[0][2] = "-1"
        lines[1][4], lines[1][5] = "9", "8"
        lines[2][7] = "40"  # the last plane is 39

    def too_far(lines):
        lines[5][3] = "1000"

    rewrite_boxes(copy, "", 0, change)
    rewrite_boxes(copy, "test-", 59, too_far)
    with pytest.raises(TableError, match="4 rows or images cannot be used") as error:
        list_at(copy)
    assert len(error.value.problems) == 4
    for problem, (line, organ, why) in zip(
        error.value.problems,
        [
            (6, "bladder", "x .* to 1000,"),
            (1, "liver", r"\(x -1 to"),
            (2, "kidney-r", "y 9 to 8"),
            (3, "kidney-l", "z .* to 40"),
        ],
        strict=True,
    ):
        pattern = (
            rf"segmentation-\d+\.txt, line {line}: the box of {organ} .*{why}.* does not fit .*has 48x44x40 voxels"
        )
        assert re.search(pattern, problem), problem


def test_a_box_at_the_last_voxel_fits(copy):
    def change(lines):
        lines[0][2:] = ["0", "47", "0", "43", "0", "39"]

    rewrite_boxes(copy, "", 0, change)
    source, listing = list_at(copy)
    assert all(isinstance(r, Rendered) for r in RECIPE.render_all(source, in_units(listing.samples)[:40], Options()))


def test_lines_that_cannot_be_read_are_told_all_at_once(copy):
    def change(lines):
        lines[0].pop()
        lines[1][2] = "12.5"

    def twice(lines):
        lines[4][0] = lines[3][0]

    first = rewrite_boxes(copy, "", 1, change)
    second = rewrite_boxes(copy, "test-", 0, twice)
    with pytest.raises(TableError, match="2 rows or images cannot be used") as error:
        list_at(copy)
    problems = sorted(problem.rpartition(": ")[0].rpartition("/")[2] for problem in error.value.problems)
    names = [f"{path.parent.name}: {path.name}" for path in (first, second)]
    assert problems == sorted([f"{names[0]}, line 1", f"{names[1]}, line 5"])
    rewrite_boxes(copy, "", 1, lambda lines: lines[0].append("9"))
    with pytest.raises(TableError, match=r"line 2: expected six whole numbers, got 12\.5 "):
        list_at(copy)


def test_an_organ_that_is_not_known_is_left_to_the_card_to_refuse(copy):
    def change(lines):
        lines[0][0] = "lever"

    rewrite_boxes(copy, "", 0, change)
    labels = {s.labels["organ label"] for s in list_at(copy)[1].samples["organs_axial"]}
    assert labels == set(mm.task("organs_axial/organ label").classes) | {"lever"}


def test_a_volume_that_is_missing_is_told_and_has_no_samples(copy):
    find(copy, "volume-2.nii").unlink()
    find(copy, "test-volume-1.nii").unlink()
    _, listing = list_at(copy)
    assert [message.rpartition("/")[2] for message in listing.missing] == [
        "annotations_of_testing_set: test-segmentation-1.txt: test-volume-1.nii, which has 11 boxes here, is missing",
        "annotations_of_training_set: segmentation-2.txt: volume-2.nii, which has 11 boxes here, is missing",
    ]
    groups = {s.group for s in listing.samples["organs_axial"]}
    assert groups == {("train", n) for n in (0, 1, 28, 29)} | {("test", 0), ("test", 59)}


def test_a_segmentation_that_is_missing_is_told_and_the_images_are_built_without_its_mask(copy):
    find(copy, "segmentation-1.nii").unlink()
    source, listing = list_at(copy)
    (message,) = listing.missing
    assert message.endswith("segmentation-1.txt: segmentation-1.nii, with the tumours of volume-1.nii, is missing")
    sample = next(s for s in listing.samples["organs_axial"] if s.group == ("train", 1))
    found = RECIPE.render(source, sample, Options())
    assert (found.masks, found.annotations) == ({}, {"tumour_mask_path": ""})


def test_volumes_without_boxes_are_told(copy):
    path = find(copy, "segmentation-28.txt")
    path.unlink()
    find(copy, "test-segmentation-0.txt").write_text("\r\n")
    _, listing = list_at(copy)
    assert [message.rpartition("/")[2] for message in listing.unnamed] == [
        "LITS-Challenge-Test-Data: test-volume-0.nii: has no boxes",
        "Training Batch 2: volume-28.nii: has no boxes",
    ]


def test_parts_may_be_missing_in_a_partial_build_alone(copy):
    shutil.rmtree(copy / "LITS-Challenge-Test-Data")
    shutil.rmtree(copy / "LITS Challenge" / "Training Batch 2")
    with pytest.raises(SourceNotFoundError, match="the folder Training Batch 2") as error:
        list_at(copy)
    assert "LITS-Challenge-Test-Data" in str(error.value)
    _, listing = list_at(copy, allow_partial=True)
    assert {s.group for s in listing.samples["organs_axial"]} == {("train", n) for n in (0, 1, 2)}
    assert len(listing.missing) == len(TESTS) + 3


def test_volumes_alone_are_not_enough(copy):
    shutil.rmtree(copy / "annotations for lits")
    with pytest.raises(
        SourceNotFoundError, match=r"has no organ boxes \(segmentation-N.txt\).*fetch annotations_of_tr"
    ):
        list_at(copy, allow_partial=True)


def test_damaged_volumes_are_told_all_at_once_before_any_is_rendered(copy):
    cut = find(copy, "volume-0.nii")
    cut.write_bytes(cut.read_bytes()[:-1])
    find(copy, "segmentation-1.nii").write_bytes(b"no volume")
    shutil.copy(find(copy, "segmentation-28.nii"), find(copy, "segmentation-29.nii"))
    image = nibabel.load(find(copy, "segmentation-28.nii"))
    nibabel.save(nibabel.Nifti1Image(image.get_fdata()[:-1].copy(), None), find(copy, "segmentation-28.nii"))
    with pytest.raises(DamagedSourceError, match="3 rows or images cannot be used") as error:
        list_at(copy)
    found = [problem.rpartition("Batch ")[2] for problem in error.value.problems]
    assert found[0].startswith("1: volume-0.nii: is cut short")
    assert found[1].startswith("1: segmentation-1.nii: is not a NIfTI-1 volume")
    assert found[2] == "2: segmentation-28.nii: has shape (47, 44, 40), its volume volume-28.nii has (48, 44, 40)."
    assert len(found) == 3


def test_a_volume_that_does_not_read_after_all_is_told_for_each_of_its_samples(download, tmp_path, monkeypatch):
    source, listing = list_at(download)

    def broken(source, member):
        if member.endswith("volume-1.nii"):
            raise DamagedSourceError(f"{member}: is damaged")
        return real(source, member)

    real = lits.open_volume
    monkeypatch.setattr(lits, "open_volume", broken)
    samples = listing.samples["organs_axial"]
    rendered = list(RECIPE.render_all(source, samples, Options()))
    assert [isinstance(result, SourceError) for result in rendered] == [s.group[1] == 1 for s in samples]


@pytest.mark.parametrize("size", [0.0, -1.0, np.nan, np.inf])
def test_voxel_sizes_that_make_no_sense_are_told(copy, size):
    volume = find(copy, "volume-1.nii")
    data = bytearray(volume.read_bytes())
    data[84:88] = np.array(size, ">f4").tobytes()  # pixdim[2] of a big-endian file
    volume.write_bytes(data)
    with pytest.raises(TableError, match=r"volume-1\.nii: has voxels of .* mm; expected sizes above 0"):
        list_at(copy)


def test_voxel_sizes_that_would_make_endless_cuts_are_told(copy):
    volume = find(copy, "volume-1.nii")
    data = bytearray(volume.read_bytes())
    data[84:88] = np.array(1e-7, ">f4").tobytes()
    volume.write_bytes(data)
    with pytest.raises(
        TableError, match=r"line 1: the box of liver .* cannot be squared with the voxels of .*volume-1"
    ):
        list_at(copy)


def test_the_synthetic_original_depends_on_the_seed_and_grows_without_a_change(tmp_path, download):
    def members(folder):
        found = {}
        for path in sorted(folder.rglob("*.zip")):
            with zipfile.ZipFile(path) as archive:
                found.update({name: archive.read(name) for name in archive.namelist()})
        return found

    for name, arguments in {"same": (5, 0), "other": (5, 1), "more": (9, 0)}.items():
        (tmp_path / name).mkdir()
        for path in write(tmp_path / name, *arguments):
            assert path.exists()
    for path in download.rglob("*.zip"):
        assert path.read_bytes() == (tmp_path / "same" / path.relative_to(download)).read_bytes()
    whole = members(download)
    assert whole.items() < members(tmp_path / "more").items()
    other = members(tmp_path / "other")
    assert not {data for data in whole.values() if len(data) > 9} & set(other.values())


class Headers(Archive):
    """The names of volumes, each with a header and nothing behind it."""

    def __init__(self, names, shape):
        super().__init__(Path("headers"))
        self.names = names
        header = nibabel.Nifti1Header()
        header.set_data_shape(shape)
        header.set_data_dtype(np.int16)
        header.set_zooms((0.7, 0.7, 1.0))
        header["vox_offset"] = 352
        self.header = bytes(header.binaryblock)

    def _names(self):
        return iter(self.names)

    def _size(self, name):
        return 10**10

    def _read(self, name):
        pytest.fail(f"{name} was read")

    def _open(self, name):
        return nullcontext(io.BytesIO(self.header))

    def state(self, members):
        return ""


@pytest.fixture(scope="module")
def real_source(real_originals):
    """The real boxes, with volumes that are headers alone, large enough for all of them."""
    boxes = find_original(real_originals / "organs", RECIPE.original, allow_partial=True)
    names = [f"{what}-{number}.nii" for number in range(131) for what in ("volume", "segmentation")]
    names += [f"test-volume-{number}.nii" for number in range(70)]
    return MountedArchive(real_originals, {**boxes.mounts, "volumes": Headers(names, (512, 700, 1100))})


def test_real_boxes_are_all_read(real_source, monkeypatch):
    boxes = lits_boxes.read_boxes(real_source, [])
    assert Counter(split for split, _ in boxes) == {"train": 131, "test": 70}
    assert sum(map(len, boxes.values())) == 1751
    monkeypatch.setattr(lits, "SWAPPED", {})
    listing = RECIPE.listing(real_source, Options())
    assert (listing.missing, listing.unnamed, set(map(len, listing.dropped.values()))) == ([], [], {0})
    for dataset, samples in listing.samples.items():
        assert Counter(s.original_split for s in samples) == {"train": 1133, "test": 618}
        organs = Counter(s.labels["organ label"] for s in samples if s.original_split == "train")
        assert (organs["liver"], organs["left lung"], organs["right lung"]) == (131, 52, 52)
        assert set(organs) == set(mm.task(f"{dataset}/organ label").classes)
        assert mm.dataset(dataset).original_samples.test == 618


def test_the_real_boxes_of_test_volume_59_are_those_of_the_volume_put_right(real_source):
    """Of its organs, the extent from front to back counts thick slices: less than a third of that of its neighbours."""

    def depth(number):
        liver = lits_boxes.read_boxes(real_source, [])["test", number][0]
        assert liver.organ == "liver"
        return [high - low for low, high in liver.bounds]

    assert depth(59)[1] < 80 < 180 < min(depth(59)[0], depth(59)[2])
    assert min(depth(58)[1], depth(60)[1]) > 200
