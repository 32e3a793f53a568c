"""Kermany: one download gives OCT slices and chest X-rays, each split by the patient in the file name."""

import io
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image, ImageOps

import medimeta as mm
from medimeta.errors import LabelError, SourceError, SourceNotFoundError
from medimeta.recipes.kermany import RECIPE
from medimeta.recipes.recipe import Options
from medimeta.recipes.refusal import refuse_misfits
from medimeta.recipes.splits import TRAIN_VAL, random_split
from medimeta.sources.find import find_original
from medimeta.synthetic import kermany as synthetic

OCT = (
    "train/NORMAL/NORMAL-9-1.jpeg",
    "train/CNV/CNV-101-10.jpeg",
    "train/CNV/CNV-101-2.jpeg",
    "train/CNV/CNV-20-1.jpeg",
    "train/DME/DME-20-1.jpeg",
    "train/DRUSEN/DRUSEN-9-1.jpeg",
    "test/NORMAL/NORMAL-9-2.jpeg",
    "test/DRUSEN/DRUSEN-7-1.jpeg",
)
CHEST = (
    "train/NORMAL/NORMAL-28501-0001.jpeg",
    "train/PNEUMONIA/VIRUS-1000-0001.jpeg",
    "train/PNEUMONIA/BACTERIA-1000-0002.jpeg",
    "test/PNEUMONIA/BACTERIA-5-0001.jpeg",
)
TREE = {
    **{f"CellData/OCT/{name}": b"" for name in OCT},
    **{f"CellData/chest_xray/{name}": b"" for name in CHEST},
}
LITTER = {
    "__MACOSX/CellData/OCT/train/CNV/._CNV-101-2.jpeg": b"x",
    "CellData/OCT/.DS_Store": b"x",
    "CellData/OCT/train/CNV/Thumbs.db": b"x",
    "CellData/OCT/train/CNV/.CNV-101-3.jpeg": b"x",
    "CellData/OCT/train/CNV/list.txt": b"x",
}


def write_folder(files, folder):
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_zip(files, path):
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return path


def find(path, datasets=(), **options):
    return find_original(path, RECIPE.original, datasets, **options)


@pytest.fixture
def listed(tmp_path):
    """List the images of a download that holds these files."""

    def list_all(files, datasets=(), *, allow_partial=False):
        path = write_zip(files, tmp_path / f"{len(list(tmp_path.iterdir()))}" / "ZhangLabData.zip")
        source = find(path, datasets, allow_partial=allow_partial)
        listing = RECIPE.listing(source, Options(allow_partial=allow_partial))
        refuse_misfits(listing, str(path), allow_partial=True, way_out=RECIPE.way_out)
        return listing

    return list_all


def paths(listing, dataset):
    return [sample.original_filepath for sample in listing.samples[dataset]]


def below(folder, names):
    return {f"{folder}/{name}": b"" for name in names}


def test_images_are_in_the_order_of_their_paths_as_strings(listed):
    listing = listed(dict(reversed(TREE.items())))
    assert paths(listing, "oct") == [
        "test/DRUSEN/DRUSEN-7-1.jpeg",
        "test/NORMAL/NORMAL-9-2.jpeg",
        "train/CNV/CNV-101-10.jpeg",
        "train/CNV/CNV-101-2.jpeg",
        "train/CNV/CNV-20-1.jpeg",
        "train/DME/DME-20-1.jpeg",
        "train/DRUSEN/DRUSEN-9-1.jpeg",
        "train/NORMAL/NORMAL-9-1.jpeg",
    ]
    assert paths(listing, "pneumonia") == sorted(CHEST)
    assert (listing.missing, listing.unnamed, listing.dropped) == ([], [], {})


def test_oct_labels_are_the_folder_and_whether_it_is_urgent(listed):
    labels = {sample.original_filepath: sample.labels for sample in listed(TREE).samples["oct"]}
    for path, found in labels.items():
        disease = path.split("/")[1]
        urgent = {"CNV": "YES", "DME": "YES", "DRUSEN": "NO", "NORMAL": "NO"}[disease]
        assert found == {"disease class": disease, "urgent referral": urgent}


def test_pneumonia_is_present_by_the_folder_and_its_kind_is_the_prefix_of_the_name(listed):
    moved = TREE | {"CellData/chest_xray/train/PNEUMONIA/NORMAL-3-0001.jpeg": b""}
    assert [sample.labels for sample in listed(moved).samples["pneumonia"]] == [
        {"pneumonia presence": "PNEUMONIA", "disease class": "BACTERIA"},
        {"pneumonia presence": "NORMAL", "disease class": "NORMAL"},
        {"pneumonia presence": "PNEUMONIA", "disease class": "BACTERIA"},
        {"pneumonia presence": "PNEUMONIA", "disease class": "NORMAL"},
        {"pneumonia presence": "PNEUMONIA", "disease class": "VIRUS"},
    ]


def test_a_class_that_the_card_does_not_know_is_passed_on_to_be_refused(listed):
    files = TREE | {
        "CellData/OCT/train/AMD/AMD-1-1.jpeg": b"",
        "CellData/chest_xray/test/NORMAL/IM-0115-0001.jpeg": b"",  # as in copies that others pass on
    }
    listing = listed(files)
    assert "AMD" in [sample.labels["disease class"] for sample in listing.samples["oct"]]
    assert "IM" in [sample.labels["disease class"] for sample in listing.samples["pneumonia"]]


def test_patients_are_numbers_from_the_name_and_annotations(listed):
    files = TREE | {"CellData/OCT/train/DME/DME-0020-5.jpeg": b""}
    found = {sample.original_filepath: sample for sample in listed(files).samples["oct"]}
    assert found["train/CNV/CNV-20-1.jpeg"].group == found["train/DME/DME-0020-5.jpeg"].group == 20
    assert found["train/CNV/CNV-101-10.jpeg"].annotations == {"patient_id": "101"}
    assert [sample.original_split for sample in found.values()] == ["test"] * 2 + ["train"] * 7


def test_the_test_images_are_kept_and_the_rest_is_split_by_patients_in_the_order_of_first_appearance(listed):
    patients = [205, 11, 3, 17, 1000, 42, 8, 99, 5, 77, 61, 23, 450, 7]
    train = [f"train/CNV/CNV-{patient}-{number}.jpeg" for patient in patients for number in (1, 2)]
    train += [f"train/DME/DME-{patient}-1.jpeg" for patient in (205, 999)]
    test = [f"test/CNV/CNV-{patient}-3.jpeg" for patient in (3, 4, 60)]  # test patients must not shift the rest
    samples = listed(TREE | below("CellData/OCT", [*train, *test])).samples["oct"]
    splits = RECIPE.splits("oct", samples)
    assert [split == "test" for split in splits] == [sample.original_split == "test" for sample in samples]
    kept = [sample for sample in samples if sample.original_split == "train"]
    expected = random_split([int(sample.original_filepath.split("-")[1]) for sample in kept], TRAIN_VAL)
    assert [split for split in splits if split != "test"] == expected
    assert {"train", "val"} == set(expected)


@pytest.mark.parametrize(
    ("dataset", "archive"), [("oct", "ZhangLabData.zip"), ("pneumonia", "ZhangLabData.zip or ChestXRay2017.zip")]
)
def test_a_dataset_needs_its_own_part_alone(listed, dataset, archive):
    folder = {"oct": "OCT", "pneumonia": "chest_xray"}[dataset]
    files = {name: data for name, data in TREE.items() if f"/{folder}/" in name}
    listing = listed(files, [dataset])
    assert paths(listing, dataset) == paths(listed(TREE), dataset)
    other = ({"oct", "pneumonia"} - {dataset}).pop()
    assert listing.samples[other] == []
    rest = {name: data for name, data in TREE.items() if name not in files}
    with pytest.raises(SourceNotFoundError, match=f"Expected:\n  - the archive {archive} or the folder {folder} with"):
        listed(rest)
    assert paths(listed(rest, allow_partial=True), other) == paths(listed(TREE), other)


@pytest.mark.parametrize("left_out", ["train", "test"])
def test_a_partial_build_may_lack_a_split(listed, left_out):
    files = {name: data for name, data in TREE.items() if f"/{left_out}/" not in name}
    with pytest.raises(SourceNotFoundError):
        listed(files)
    listing = listed(files, allow_partial=True)
    assert paths(listing, "oct") == [name for name in sorted(OCT) if not name.startswith(left_out)]
    assert paths(listing, "pneumonia") == [name for name in sorted(CHEST) if not name.startswith(left_out)]


@pytest.mark.parametrize("top", ["", "CellData/", "ZhangLabData/CellData/"])
@pytest.mark.parametrize("change", [str, str.upper, str.lower], ids=lambda change: change.__name__)
def test_folders_archives_levels_and_cases_do_not_matter(listed, tmp_path, top, change):
    expected = listed(TREE)
    files = {}
    for name, data in (TREE | LITTER).items():
        folder, _, file = name.replace("CellData/", top).rpartition("/")
        files[f"{folder if folder.startswith('__') else change(folder)}/{file}"] = data
    for source in (write_folder(files, tmp_path / "x"), write_zip(files, tmp_path / "y" / "copy.zip")):
        listing = RECIPE.listing(find(source), Options())
        for dataset in ("oct", "pneumonia"):
            assert paths(listing, dataset) == paths(expected, dataset)
            assert [s.labels for s in listing.samples[dataset]] == [s.labels for s in expected.samples[dataset]]
        assert listing.unnamed == []


def test_the_order_is_that_of_the_original_names_whatever_the_case_of_folders(listed):
    files = {name.replace("/train/", "/Train/"): data for name, data in TREE.items()}  # sorts before test
    assert paths(listed(files), "oct") == sorted(OCT)


def test_extensions_may_be_of_another_case(listed):
    files = TREE | below("CellData/OCT", ["train/CNV/CNV-5-1.JPEG", "train/CNV/CNV-6-1.jpg"])
    assert {"train/CNV/CNV-5-1.JPEG", "train/CNV/CNV-6-1.jpg"} < set(paths(listed(files), "oct"))


@pytest.mark.parametrize("folder", ["oct", "chest_xray", "OCT"])
def test_a_folder_that_is_called_like_a_part_is_not_taken_for_it(tmp_path, folder):
    files = {name.replace("/OCT/", "/oct/"): data for name, data in TREE.items()}
    listing = RECIPE.listing(find(write_folder(files, tmp_path / folder)), Options())
    assert paths(listing, "oct") == sorted(OCT)
    assert paths(listing, "pneumonia") == sorted(CHEST)


def test_the_chest_x_rays_may_be_the_archive_of_their_own(tmp_path):
    write_zip(below("chest_xray", CHEST), tmp_path / "all" / "ChestXRay2017.zip")
    listing = RECIPE.listing(find(tmp_path, ["pneumonia"]), Options())
    assert paths(listing, "pneumonia") == sorted(CHEST)
    write_folder(below("OCT", OCT), tmp_path / "all")
    listing = RECIPE.listing(find(tmp_path), Options())
    assert paths(listing, "oct") == sorted(OCT)
    assert paths(listing, "pneumonia") == sorted(CHEST)


def test_images_beside_the_folders_of_classes_are_listed_as_unknown(listed):
    strange = ["val/CNV/CNV-1-1.jpeg", "train/CNV-1-1.jpeg", "train/CNV/more/CNV-1-1.jpeg", "CNV-1-1.jpeg"]
    listing = listed(TREE | below("CellData/OCT", strange))
    assert paths(listing, "oct") == sorted(OCT)
    assert sorted(problem.split("OCT/")[1] for problem in listing.unnamed) == sorted(
        f"{name}: is not directly in train/<class> or test/<class>" for name in strange
    )


def test_all_names_that_tell_no_patient_are_told(listed):
    strange = ["test/NORMAL/NORMAL-x-1.jpeg", "train/PNEUMONIA/person1_bacteria_1.jpeg"]
    with pytest.raises(LabelError, match="Fetch the original download") as caught:
        listed(TREE | below("CellData/chest_xray", strange) | below("CellData/OCT", ["train/DME/DME.jpeg"]))
    assert [problem.split(": ", 1)[1] for problem in caught.value.problems] == [
        "CellData/OCT/train/DME/DME.jpeg: expected a name such as DME-1016042-1.jpeg",
        f"CellData/chest_xray/{strange[0]}: expected a name such as NORMAL-1016042-1.jpeg",
        f"CellData/chest_xray/{strange[1]}: expected a name such as PNEUMONIA-1016042-1.jpeg",
    ]


# Pixels.


def jpeg(image):
    file = io.BytesIO()
    image.save(file, "JPEG")
    return file.getvalue()


def noise(width, height, mode):
    values = np.random.default_rng(width * height).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


@pytest.mark.parametrize("dataset", ["oct", "pneumonia"])
@pytest.mark.parametrize(
    ("width", "height", "mode"), [(512, 496, "L"), (1536, 496, "L"), (640, 800, "RGB"), (180, 130, "L")]
)
def test_images_become_grey_are_padded_and_scaled_each_in_its_way(tmp_path, dataset, width, height, mode):
    data = jpeg(noise(width, height, mode))
    source = find(write_folder(dict.fromkeys(TREE, data), tmp_path))
    sample = RECIPE.listing(source, Options()).samples[dataset][0]
    result = RECIPE.render(source, sample, Options())
    grey = Image.open(io.BytesIO(data)).convert("L")
    bicubic = Image.Resampling.BICUBIC
    square = ImageOps.pad(grey, (max(grey.size),) * 2, method=bicubic, color=0)
    resized = np.asarray(square.resize((224, 224), bicubic))
    square.thumbnail((224, 224), bicubic)
    if dataset == "oct" and square.size == (224, 224):
        expected = np.asarray(square)
        assert width < 1000 or not np.array_equal(expected, resized)  # the two ways do differ
    else:
        expected = resized
    assert np.array_equal(result.pixels, expected)
    assert result.converted_from == (None if mode == "L" else mode)
    assert (result.original_size, result.enlarged) == ((width, height), width < 224)


def test_an_image_that_does_not_decode_is_named(tmp_path):
    source = find(write_folder(TREE, tmp_path))
    sample = RECIPE.listing(source, Options()).samples["oct"][0]
    with pytest.raises(SourceError, match=r"test/DRUSEN/DRUSEN-7-1\.jpeg: is not an image"):
        RECIPE.render(source, sample, Options())


# The synthetic original and real images.


def test_the_synthetic_original_has_every_split_class_and_quirk(tmp_path):
    [path] = synthetic.write(tmp_path, 5, 0)
    source = find(path)
    listing = RECIPE.listing(source, Options())
    assert listing.unnamed == []
    for dataset, samples in listing.samples.items():
        splits = RECIPE.splits(dataset, samples)
        assert set(splits) == {"train", "val", "test"}
        for task in mm.dataset(dataset).tasks:
            for split in ("train", "test"):
                found = {s.labels[task.name] for s, own in zip(samples, splits, strict=True) if own == split}
                assert found == set(task.labels.values())
    classes = [(s.group, s.labels["disease class"]) for s in listing.samples["oct"] if s.original_split == "train"]
    patients = Counter(patient for patient, _ in set(classes))
    assert max(patients.values()) > 1
    numbers = list(dict.fromkeys(patient for patient, _ in classes))
    assert sorted(numbers, key=str) != sorted(numbers)
    rendered = list(RECIPE.render_all(source, listing.samples["pneumonia"], Options()))
    assert {result.converted_from for result in rendered} == {None, "RGB"}
    assert any(result.enlarged for result in rendered)


def test_real_images_with_their_own_names_are_listed_and_rendered(real_originals, tmp_path):
    files = sorted((real_originals / "oct").glob("*.jpeg"))
    tree = {f"OCT/train/{file.name.split('-')[0]}/{file.name}": file.read_bytes() for file in files}
    source = find(write_zip(tree, tmp_path / "ZhangLabData.zip"), ["oct"], allow_partial=True)
    samples = RECIPE.listing(source, Options(allow_partial=True)).samples["oct"]
    assert [sample.original_filepath for sample in samples] == sorted(name.removeprefix("OCT/") for name in tree)
    assert Counter(sample.labels["disease class"] for sample in samples) == {
        "CNV": 1,
        "DME": 6,
        "DRUSEN": 2,
        "NORMAL": 1,
    }
    assert len({sample.group for sample in samples}) == 7  # two patients with two diseases, and one with two images
    for sample, result in zip(samples, RECIPE.render_all(source, samples, Options()), strict=True):
        image = Image.open(io.BytesIO(tree[f"OCT/{sample.original_filepath}"]))
        square = ImageOps.pad(image, (max(image.size),) * 2, method=Image.Resampling.BICUBIC, color=0)
        square.thumbnail((224, 224), Image.Resampling.BICUBIC)
        assert np.array_equal(result.pixels, np.asarray(square))
