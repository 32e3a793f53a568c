"""Chákṣu: images, decisions and fused maps are matched, though each calls the images otherwise."""

import io
import shutil
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageOps

from medimeta.errors import SourceNotFoundError, TableError
from medimeta.recipes.glaucoma import RECIPE
from medimeta.recipes.recipe import Options
from medimeta.recipes.refusal import refuse_misfits
from medimeta.sources.find import find_original
from medimeta.synthetic import glaucoma as synthetic

IMAGES, MAPS, DECISIONS = "1.0_Original_Fundus_Images", "4.0_OD_CO_Fusion_Images", "6.0_Glaucoma_Decision"
HEAD = "Images,Expert.1,Expert.2,Expert.3,Expert.4,Expert.5,"
OPINIONS = "NORMAL,NORMAL,GLAUCOMA SUSPECT,NORMAL,NORMAL"


def table(*rows, head=f"{HEAD}Glaucoma Decision"):
    lines = [head, *(f"{name},{OPINIONS},{verdict}" for name, verdict in rows)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def tree():
    """A small original; images are empty, as a listing does not read them."""
    files = {
        f"Train/{IMAGES}/Remidio/P7_IMG_2.jpg": b"",
        f"Train/{IMAGES}/Remidio/IMG_10.JPG": b"",
        f"Train/{IMAGES}/Bosch/Image101.JPG": b"",
        f"Train/{IMAGES}/Forus/3.png": b"",
        f"Test/{IMAGES}/Bosch/Image900.JPG": b"",
        f"Test/{IMAGES}/Remidio/IMG_1.jpg": b"",
        f"Train/{MAPS}/Bosch/STAPLE/Image101.png": b"",
        f"Train/{MAPS}/Forus/STAPLE/3.png": b"",
        f"Train/{MAPS}/Remidio/STAPLE/IMG_10.png": b"",
        f"Train/{MAPS}/Remidio/STAPLE/P7_IMG_2.png": b"",
        f"Test/{MAPS}/Bosch/STAPLE/Image900.png": b"",
        f"Test/{MAPS}/Remedio/STAPLE/IMG_1.png": b"",
    }
    decisions = {
        ("Train", "Bosch"): table(("Image101.JPG", "NORMAL"), head=f"{HEAD}Majority Decision"),
        ("Train", "Forus"): table(("3.png", "GLAUCOMA SUSPECT")),
        ("Train", "Remidio"): table(("P7_IMG_2.jpg", "NORMAL"), ("IMG_10.JPG", "GLAUCOMA  SUSUPECT")),
        ("Test", "Bosch"): table(("Image900.JPG", "NORMAL")),
        ("Test", "Forus"): table(),
        ("Test", "Remidio"): table(("IMG_1.jpg", "GLAUCOMA SUSPECT")),
    }
    for (part, device), data in decisions.items():
        files[f"{part}/{DECISIONS}/Glaucoma_Decision_Comparison_{device}_majority.csv"] = data
    return files


@pytest.fixture
def listed(tmp_path):
    """List the images of downloads that hold these files."""

    def listed(files, **options):
        for part in ("Train", "Test"):
            with zipfile.ZipFile(tmp_path / f"{part}.zip", "w") as file:
                for name, data in files.items():
                    if name.startswith(f"{part}/"):
                        file.writestr(name, data)
        return listing(tmp_path, **options)

    return listed


def listing(path, *, allow_partial=False):
    source = find_original(path, RECIPE.original, allow_partial=allow_partial)
    found = RECIPE.listing(source, Options(allow_partial=allow_partial))
    refuse_misfits(found, str(path), allow_partial=True)
    return found


def by_name(found):
    return {sample.original_filepath.rpartition("/")[2]: sample for sample in found.samples["glaucoma"]}


def renamed(files, old, new):
    assert any(old in name for name in files)
    return {name.replace(old, new): data for name, data in files.items()}


def replaced(files, old, new):
    assert any(old in data for data in files.values())
    return {name: data.replace(old, new) for name, data in files.items()}


def test_images_are_in_the_order_of_parts_devices_and_names_as_strings(listed):
    found = listed(tree())
    assert [sample.original_filepath for sample in found.samples["glaucoma"]] == [
        f"Train/{IMAGES}/Bosch/Image101.JPG",
        f"Train/{IMAGES}/Forus/3.png",
        f"Train/{IMAGES}/Remidio/IMG_10.JPG",
        f"Train/{IMAGES}/Remidio/P7_IMG_2.jpg",
        f"Test/{IMAGES}/Bosch/Image900.JPG",
        f"Test/{IMAGES}/Remidio/IMG_1.jpg",
    ]
    assert [sample.original_split for sample in found.samples["glaucoma"]] == ["train"] * 4 + ["test"] * 2
    assert (found.missing, found.unnamed, found.dropped) == ([], [], {})


def test_train_is_split_by_image_and_test_is_kept(listed):
    found = listed(tree()).samples["glaucoma"]
    assert np.random.RandomState(42).permutation(4).tolist() == [1, 3, 0, 2]
    assert RECIPE.splits("glaucoma", found) == ["train", "train", "val", "train", "test", "test"]
    assert {sample.group for sample in found} == {None}


def test_the_label_is_the_decision_of_the_majority_however_it_is_spelt(listed):
    labels = {name: sample.labels["Glaucoma suspect"] for name, sample in by_name(listed(tree())).items()}
    assert labels == {
        "Image101.JPG": "Normal",
        "3.png": "Suspect",
        "IMG_10.JPG": "Suspect",
        "P7_IMG_2.jpg": "Normal",
        "Image900.JPG": "Normal",
        "IMG_1.jpg": "Suspect",
    }


def test_verdicts_that_nobody_knows_are_left_to_the_card(listed):
    found = listed(replaced(tree(), b"GLAUCOMA  SUSUPECT", b"PERHAPS"))
    assert by_name(found)["IMG_10.JPG"].labels == {"Glaucoma suspect": "PERHAPS"}


@pytest.mark.parametrize(
    "in_table", ["img_10.jpg", "IMG_10.png", "IMG_10", "IMG_10-1.jpg", "IMG_10.JPG-IMG_10-1.JPG", "img_10 - Copy.JPG"]
)
def test_rows_are_matched_whatever_extension_case_and_suffix(listed, in_table):
    found = listed(replaced(tree(), b"IMG_10.JPG", in_table.encode()))
    assert by_name(found)["IMG_10.JPG"].labels == {"Glaucoma suspect": "Suspect"}
    assert (found.missing, found.unnamed) == ([], [])


@pytest.mark.parametrize("on_disk", ["IMG_10-2.jpg", "img_10.png"])
def test_files_are_matched_whatever_extension_case_and_suffix(listed, on_disk):
    found = listed(renamed(tree(), f"{IMAGES}/Remidio/IMG_10.JPG", f"{IMAGES}/Remidio/{on_disk}"))
    sample = by_name(found)[on_disk]
    assert sample.original_filepath == f"Train/{IMAGES}/Remidio/{on_disk}"
    assert sample.masks == (f"Train/{MAPS}/Remidio/STAPLE/IMG_10.png",)
    assert (found.missing, found.unnamed) == ([], [])


def test_names_that_agree_as_a_whole_come_before_those_that_agree_up_to_a_suffix(listed):
    files = tree() | {f"Train/{IMAGES}/Bosch/Image101-2.JPG": b"", f"Train/{IMAGES}/Bosch/Image101-3.JPG": b""}
    name = f"Train/{DECISIONS}/Glaucoma_Decision_Comparison_Bosch_majority.csv"
    files[name] = table(("image101-3.jpg", "GLAUCOMA SUSPECT"), ("image101.jpg", "NORMAL"), ("image101-2", "NORMAL"))
    labels = {name: sample.labels["Glaucoma suspect"] for name, sample in by_name(listed(files)).items()}
    assert labels["Image101.JPG"] == labels["Image101-2.JPG"] == "Normal"
    assert labels["Image101-3.JPG"] == "Suspect"


def test_a_row_is_used_once(listed):
    found = listed(tree() | {f"Train/{IMAGES}/Bosch/Image101-2.JPG": b""})
    assert [line.partition("Bosch/")[2] for line in found.unnamed] == ["Image101-2.JPG: is in no table of decisions"]


@pytest.mark.parametrize(
    ("name", "patient"), [("P7_IMG_2", "P7"), ("p12-IMG_2", "P12"), ("IMG_P3_2", "P3"), ("CUP7_2", ""), ("Pat_2", "")]
)
def test_the_patient_is_read_from_names_that_have_one(listed, name, patient):
    files = replaced(renamed(tree(), "P7_IMG_2", name), b"P7_IMG_2", name.encode())
    assert by_name(listed(files))[f"{name}.jpg"].annotations["patient_id"] == patient


def test_images_of_two_devices_may_have_the_same_name(listed):
    files = renamed(tree(), "Train/1.0_Original_Fundus_Images/Forus/3.png", f"Train/{IMAGES}/Forus/IMG_10.png")
    files = replaced(renamed(files, "Forus/STAPLE/3.png", "Forus/STAPLE/IMG_10.png"), b"3.png,", b"IMG_10.png,")
    samples = by_name(listed(files))
    assert samples["IMG_10.png"].masks == (f"Train/{MAPS}/Forus/STAPLE/IMG_10.png",)
    assert samples["IMG_10.JPG"].masks == (f"Train/{MAPS}/Remidio/STAPLE/IMG_10.png",)


def test_the_map_is_that_of_staple_also_in_the_misspelt_folder(listed):
    others = {f"Test/{MAPS}/Remedio/{folder}/IMG_1.png": b"" for folder in ("Expert 1", "Majority", "Mean")}
    sample = by_name(listed(tree() | others))["IMG_1.jpg"]
    assert sample.masks == (f"Test/{MAPS}/Remedio/STAPLE/IMG_1.png",)
    assert sample.annotations["original_mask_path"] == f"Test/{MAPS}/Remedio/STAPLE/IMG_1.png"


def test_annotations_are_device_patient_and_what_experts_and_methods_say(listed):
    files = tree() | {
        f"Train/{DECISIONS}/Mean/Remidio.csv": b"Images,CDR,Glaucoma Decision\r\np7_img_2.png,0.4,GLAUCOMA SUSPECT\r\n",
        f"Train/{DECISIONS}/Median/Remidio.csv": b",Images,Glaucoma Decision\r\n0,P7_IMG_2.jpg,NORMAL\r\n",
        f"Train/{DECISIONS}/Glaucoma_Decision_Comparison_Remidio_mean.csv": b"Images,Expert.1,Glaucoma Decision\r\n"
        b"P7_IMG_2.jpg,NORMAL,GLAUCOMA SUSPECT\r\n",
        f"Train/{DECISIONS}/STAPLE/Remidio.csv": b"Images,Glaucoma Decision\r\nP7_IMG_2.jpg,NORMAL\r\n",
        f"Train/{DECISIONS}/Majority/Remidio.csv": b"Images,Majority Decision\r\nP7_IMG_2.jpg,GLAUCOMA  SUSUPECT\r\n",
    }
    samples = by_name(listed(files))
    assert samples["P7_IMG_2.jpg"].annotations == {
        "device": "Remidio",
        "patient_id": "P7",
        "expert_1": "NORMAL",
        "expert_2": "NORMAL",
        "expert_3": "GLAUCOMA SUSPECT",
        "expert_4": "NORMAL",
        "expert_5": "NORMAL",
        "comparison_decision": "NORMAL",
        "comparison_mean_expert_1": "NORMAL",
        "comparison_mean_decision": "GLAUCOMA SUSPECT",
        "mean_cdr": "0.4",
        "mean_decision": "GLAUCOMA SUSPECT",
        "median_decision": "NORMAL",
        "staple_decision": "NORMAL",
        "majority_decision": "GLAUCOMA  SUSUPECT",
        "original_mask_path": f"Train/{MAPS}/Remidio/STAPLE/P7_IMG_2.png",
    }
    assert samples["P7_IMG_2.jpg"].labels == {"Glaucoma suspect": "Normal"}
    assert (samples["IMG_10.JPG"].annotations["patient_id"], samples["3.png"].annotations["device"]) == ("", "Forus")


def test_the_majority_decides_alone_where_there_is_no_comparison(listed):
    name = f"Train/{DECISIONS}/Glaucoma_Decision_Comparison_Forus_majority.csv"
    files = renamed(tree(), name, f"Train/{DECISIONS}/Majority/Forus.csv")
    assert by_name(listed(files))["3.png"].labels == {"Glaucoma suspect": "Suspect"}
    files = renamed(tree(), name, f"Train/{DECISIONS}/Mean/Forus.csv")
    with pytest.raises(
        SourceNotFoundError, match="has no decisions for Forus; expected Glaucoma_Decision_Comparison_F"
    ):
        listed(files)
    found = listed(files, allow_partial=True)
    assert "3.png" not in by_name(found)
    assert [line.partition("Forus/")[2] for line in found.unnamed] == ["3.png: is in no table of decisions"]


def test_what_is_on_one_side_alone_is_told(listed):
    files = renamed(tree(), f"{IMAGES}/Bosch/Image101.JPG", f"{IMAGES}/Bosch/Image102.JPG")
    found = listed(files | {f"Test/{IMAGES}/Topcon/1.jpg": b""})
    assert len(found.samples["glaucoma"]) == 5
    assert [line.partition("Comparison_")[2] for line in found.missing] == [
        "Bosch_majority.csv, line 2: Image101.JPG is missing"
    ]
    assert [line.partition("Images/")[2] for line in found.unnamed] == [
        "Bosch/Image102.JPG: is in no table of decisions",
        "Topcon/1.jpg: lies in the folder of no device",
    ]


def test_everything_that_is_wrong_with_tables_is_told_at_once(listed):
    files = replaced(tree(), b"Majority Decision", b"Vote")
    name = f"Train/{DECISIONS}/Glaucoma_Decision_Comparison_Remidio_majority.csv"
    files[name] = table(("P7_IMG_2.jpg", "NORMAL"), ("IMG_10.JPG", ""), ("p7_img_2.png", "NORMAL"))
    with pytest.raises(TableError) as error:
        listed(files)
    assert [problem.partition("Comparison_")[2] for problem in error.value.problems] == [
        "Bosch_majority.csv: has no column for decision: image, expert_1, expert_2, expert_3, expert_4, expert_5, vote",
        "Remidio_majority.csv, line 2: P7_IMG_2.jpg is there more than once",
        "Remidio_majority.csv, line 4: p7_img_2.png is there more than once",
        "Remidio_majority.csv, line 3: has no decision",
    ]


def test_maps_may_be_absent_as_a_whole_from_a_part_of_the_original_only(listed):
    files = {name: data for name, data in tree().items() if not name.startswith(f"Test/{MAPS}")}
    with pytest.raises(
        SourceNotFoundError, match="has no fused maps of disc and cup; expected images below folders STAP"
    ):
        listed(files)
    found = listed(files, allow_partial=True)
    assert [len(sample.masks) for sample in found.samples["glaucoma"]] == [1, 1, 1, 1, 0, 0]


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder of the synthetic original."""
    folder = tmp_path_factory.mktemp("original")
    assert [path.name for path in synthetic.write(folder, 5, 0)] == ["Train.zip", "Test.zip", synthetic.README]
    return folder


def test_the_synthetic_original_has_every_quirk(original):
    found = listing(original)
    samples = found.samples["glaucoma"]
    assert (len(samples), found.missing, found.unnamed) == (10, [], [])
    assert [sample.labels["Glaucoma suspect"] for sample in samples].count("Suspect") == 5
    assert {sample.member.rpartition(".")[2] for sample in samples} == {"JPG", "jpg", "png"}
    assert sum(not sample.masks for sample in samples) == 1
    assert any("/Remedio/" in mask for sample in samples for mask in sample.masks)
    assert sorted(set(RECIPE.splits("glaucoma", samples))) == ["test", "train", "val"]
    source = find_original(original, RECIPE.original)
    text = b"".join(source.read(name) for name in source.members if "Comparison" in name)
    assert b"GLAUCOMA  SUSUPECT\r\n" in text
    assert b"Majority Decision" in text
    assert b"Glaucoma Decision" in text
    assert b".jpg-Image" in text


@pytest.mark.parametrize("form", ["extracted", "extracted into folders of their names", "one zip", "one level lower"])
def test_every_form_of_the_original_lists_the_same(original, tmp_path, form):
    expected = listing(original).samples
    here = tmp_path / "here"
    for part in ("Train", "Test"):
        shutil.unpack_archive(original / f"{part}.zip", here / part if "names" in form else here)
    if form == "one zip":
        here = shutil.make_archive(tmp_path / "packed", "zip", original)
    elif form == "one level lower":
        for part in ("Train", "Test"):
            shutil.make_archive(tmp_path / "low" / part, "zip", here / part)
        here = tmp_path / "low"
    assert listing(here).samples == expected


def test_both_parts_are_needed_unless_a_part_will_do(original):
    with pytest.raises(SourceNotFoundError, match="parts of the Chákṣu database are not in this archive"):
        listing(original / "Train.zip")
    found = listing(original / "Train.zip", allow_partial=True).samples["glaucoma"]
    assert len(found) == 8


def regions(levels, size):
    """Compute both regions of a map with Pillow alone."""
    side = max(levels.size)
    for level in (85, 170):
        binary = Image.fromarray(((np.asarray(levels) > level) * 255).astype(np.uint8))
        square = ImageOps.pad(binary, (side, side), method=Image.Resampling.NEAREST, color=0)
        yield np.asarray(square.resize((size, size), Image.Resampling.NEAREST))


def test_masks_are_disc_and_cup_and_the_larger_is_the_disc_but_in_the_release(original):
    source, size = find_original(original, RECIPE.original), 64
    for sample in [sample for sample in listing(original).samples["glaucoma"] if sample.masks]:
        larger, smaller = regions(Image.open(io.BytesIO(source.read(sample.masks[0]))), size)
        assert larger.sum() > smaller.sum() > 0
        image = RECIPE.render(source, sample, Options(size))
        assert image.masks.keys() == {"_disc", "_cup"}
        assert np.array_equal(image.masks["_disc"], larger)
        assert np.array_equal(image.masks["_cup"], smaller)
        assert image.annotations == {"disc_mask_path": "{mask}_disc.tiff", "cup_mask_path": "{mask}_cup.tiff"}
        released = RECIPE.render(source, sample, Options(size, release_errata=True))
        assert np.array_equal(released.masks["_cup"], larger)
        assert np.array_equal(released.masks["_disc"], smaller)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_levels_are_compared_with_the_two_thresholds(tmp_path, mode):
    file = io.BytesIO()
    Image.fromarray(np.array([[0, 85, 86, 170, 171, 255]] * 6, dtype=np.uint8)).convert(mode).save(file, "PNG")
    files = {
        name: file.getvalue() if name.endswith((".png", ".JPG", ".jpg")) else data for name, data in tree().items()
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    source = find_original(tmp_path, RECIPE.original)
    image = RECIPE.render(source, listing(tmp_path).samples["glaucoma"][0], Options(6))
    assert image.masks["_disc"][0].tolist() == [0, 0, 255, 255, 255, 255]
    assert image.masks["_cup"][0].tolist() == [0, 0, 0, 0, 255, 255]


def test_an_image_without_a_map_and_a_map_of_another_size_are_told(original):
    source = find_original(original, RECIPE.original)
    images = list(RECIPE.render_all(source, listing(original).samples["glaucoma"], Options(32)))
    told = [warning.partition(".zip: ")[2] for image in images for warning in image.warnings]
    assert told == [
        f"Train/{MAPS}/Bosch/STAPLE/Image106-1.png: is 100x80 pixels, its image 200x160",
        f"Train/{IMAGES}/Remidio/IMG_104-2.jpg: has no fused map of disc and cup, so it gets no masks",
    ]
    [bare] = [image for image in images if not image.masks]
    assert bare.annotations == {}


def test_pixels_are_padded_then_shrunk_or_enlarged(original):
    source = find_original(original, RECIPE.original)
    samples = listing(original).samples["glaucoma"]
    rendered = list(RECIPE.render_all(source, samples, Options()))
    assert {image.enlarged for image in rendered} == {True, False}
    assert {image.converted_from for image in rendered} == {None, "RGBA"}
    for sample, image in zip(samples, rendered, strict=True):
        whole = Image.open(io.BytesIO(source.read(sample.member))).convert("RGB")
        side = max(whole.size)
        square = ImageOps.pad(whole, (side, side), method=Image.Resampling.BICUBIC, color=0)
        if side < 224:
            square = square.resize((224, 224), Image.Resampling.BICUBIC)
        else:
            square.thumbnail((224, 224), Image.Resampling.BICUBIC)
        assert np.array_equal(image.pixels, np.asarray(square))
