"""What is wrong with the tables and names of an original is told at once, whatever kinds of problems there are."""

import csv
import shutil
from pathlib import Path

import pytest
from PIL import Image

import medimeta as mm
from medimeta.building.plan import make_plans
from medimeta.errors import CountMismatchError, DamagedSourceError, LabelError, SourceError, TableError
from medimeta.recipes.own import open_own
from medimeta.recipes.recipe import Listing, Options, recipe_of
from medimeta.recipes.refusal import refuse_misfits, told_together
from medimeta.sources.find import find_original

FILES = {
    "aml": ["AML-Cytomorphology_LMU.zip"],
    "bus": ["Dataset_BUSI.zip"],
    "crc": ["NCT-CRC-HE-100K.zip", "CRC-VAL-HE-7K.zip"],
    "cxr": ["CXR8.zip"],
    "derm": ["ISIC2018_Task3_*"],
    "dr_regular": ["DeepDRiD-master.zip"],
    "fundus": ["A. RFMiD_All_Classes_Dataset.zip"],
    "glaucoma": ["Train.zip", "Test.zip"],
    "mammo_mass": ["CBIS-DDSM", "mass_case_description_*.csv"],
    "oct": ["ZhangLabData.zip"],
    "organs_axial": ["Training_Batch*.zip", "LITS-Challenge-Test-Data.zip", "annotations for lits"],
    "pbc": ["PBC_dataset_normal_DIB.zip"],
    "skinl_derm": ["release_v0.zip"],
}


@pytest.fixture
def unpacked(originals, tmp_path):
    """Return an extracted copy of an original, to be spoilt."""

    def unpack(dataset):
        for path in sorted(path for pattern in FILES[dataset] for path in originals.glob(pattern)):
            if path.suffix == ".zip":
                shutil.unpack_archive(path, tmp_path / "copy")
            elif path.is_dir():
                shutil.copytree(path, tmp_path / "copy" / path.name)
            else:
                (tmp_path / "copy").mkdir(exist_ok=True)
                shutil.copy(path, tmp_path / "copy")
        for litter in (tmp_path / "copy").rglob("__MACOSX"):
            shutil.rmtree(litter)
        return tmp_path / "copy"

    return unpack


@pytest.fixture
def refused():
    """Plan a build of an original that cannot be built; return the error."""

    def refuse(dataset, folder, **options):
        card = mm.dataset(dataset)
        recipe = recipe_of(card)
        source = find_original(folder, recipe.original, [dataset], allow_partial=True)
        with pytest.raises(SourceError) as caught:
            make_plans([card], recipe, source, Options(**options))
        return caught.value

    return refuse


def found(folder, pattern):
    return sorted(path for path in folder.rglob(pattern) if not path.name.startswith("."))


def edit(path, change):
    """Change the rows of a table, the head among them."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    change(rows)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def set_cell(path, row, column, cell):
    edit(path, lambda rows: rows[row].__setitem__(rows[0].index(column), cell))


# One function an original: it spoils rows, takes one image away and adds another; what cannot be used comes first.


def spoil_aml(folder):
    table = found(folder, "annotations.dat")[0]
    table.write_text(table.read_text() + "BAS/BAS_9999.tiff BAS nan\n")
    gone, other = found(folder, "BAS_*.tiff")[:2]
    gone.unlink()
    shutil.copy(other, other.with_name("BAS_9998.tiff"))
    return ["expected CODE/CODE_NNNN.tiff and three", f"BAS/{gone.name} is missing", "BAS_9998.tiff: is not named in"]


def spoil_bus(folder):
    found(folder, "benign (1)_mask.png")[0].unlink()
    image = found(folder, "malignant (1).png")[0]
    cyst = image.parents[1] / "cyst"
    cyst.mkdir()
    image.rename(cyst / "cyst (1).png")
    return [
        "benign (1).png: has no mask",
        "malignant (1)_mask.png: is the mask of an image that is missing",
        "cyst: is no class of bus",
    ]


def spoil_crc(folder):
    image = found(folder, "ADI-*.tif")[0]
    (image.parents[1] / "XYZ").mkdir()
    shutil.copy(image, image.parents[1] / "XYZ" / "XYZ-1.tif")
    return ["tissue class: unknown label 'XYZ'", "samples: total has"]


def spoil_pbc(folder):
    image = found(folder, "BA_*.jpg")[0]
    (image.parents[1] / "blast").mkdir()
    shutil.copy(image, image.parents[1] / "blast" / "BL_1.jpg")
    return ["cell class: unknown label 'blast'", "samples: total has"]


def spoil_cxr(folder):
    def change(rows):
        rows[3][1] = "Mass|Cough"
        del rows[5]

    table = found(folder, "Data_Entry*.csv")[0]
    edit(table, change)
    names = table.with_name("train_val_list.txt")
    names.write_text("\n".join(names.read_text().splitlines()[1:]))
    table.with_name("other.png").write_bytes(b"")
    return [
        "is neither in train_val_list.txt nor in test_list.txt",
        "unknown labels 'Cough'",
        ".txt: 00000002_001.png has no row in",
        "other.png: has no row in",
    ]


def spoil_derm(folder):
    set_cell(found(folder, "*Training_GroundTruth.csv")[0], 2, "MEL", "0.5")
    images = found(folder, "ISIC_*.jpg")
    images[0].unlink()
    shutil.copy(images[1], images[1].with_name("ISIC_9999999.jpg"))
    return ["expected 1 in one of MEL, NV", f"{images[0].name} is missing", "ISIC_9999999.jpg: is not named in any"]


def spoil_dr_regular(folder):
    set_cell(found(folder, "regular-fundus-training.csv")[0], 1, "patient_DR_Level", "")
    images = found(folder / "DeepDRiD-master" / "regular_fundus_images" / "regular-fundus-training", "*.jpg")
    images[2].unlink()
    shutil.copy(images[0], images[0].with_name("other.jpg"))
    return ["has no patient_dr_level", " is missing", "other.jpg: is in no table"]


def spoil_fundus(folder):
    table = found(folder, "a. RFMiD_Training_Labels.csv")[0]
    set_cell(table, 1, "Disease_Risk", "2")
    images = found(folder / "A. RFMiD_All_Classes_Dataset" / "1. Original Images" / "a. Training Set", "*.png")
    images[-1].unlink()
    shutil.copy(images[0], images[0].with_name("9999.png"))
    return ["expected 0 or 1, got Disease_Risk '2'", f"{images[-1].name} is missing", "9999.png: is not named in any"]


def spoil_glaucoma(folder):
    decisions = folder / "Train" / "6.0_Glaucoma_Decision" / "Glaucoma_Decision_Comparison_Bosch_majority.csv"

    def undecided(rows):
        rows[1][rows[0].index("Majority Decision")] = ""

    edit(decisions, undecided)
    images = folder / "Train" / "1.0_Original_Fundus_Images"
    gone, other = found(images / "Forus", "*.*g")[0], found(images / "Remidio", "*.*g")[0]
    gone.unlink()
    shutil.copy(other, other.with_name("other.jpg"))
    return ["has no decision", " is missing", "other.jpg: is in no table of decisions"]


def spoil_mammo_mass(folder):
    set_cell(folder / "mass_case_description_train_set.csv", 1, "image file path", "000000.dcm")
    images = found(folder / "CBIS-DDSM", "1-1.dcm")
    test = [path for path in images if "Mass-Test" in str(path)]
    test[0].unlink()
    shutil.copy(test[1], test[1].parents[1] / "other.dcm")
    return ["expected a patient and three paths", " is missing", "other.dcm: is not named in any table"]


def spoil_oct(folder):
    image = found(folder / "CellData" / "OCT" / "train", "*.jpeg")[0]
    for place in ("train/CNV/strange.jpeg", "train/ABC/ABC-1-1.jpeg", "val/CNV/CNV-1-1.jpeg"):
        path = folder / "CellData" / "OCT" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(image, path)
    return [
        "train/CNV/strange.jpeg: expected a name such as",
        "disease class: unknown label 'ABC'",
        "val/CNV/CNV-1-1.jpeg: is not directly in",
    ]


def spoil_organs_axial(folder):
    for archive in found(folder, "annotations*.zip"):
        shutil.unpack_archive(archive, archive.parent)
        archive.unlink()
    boxes = next(path for path in found(folder, "segmentation-0.txt") if "__MACOSX" not in path.parts)
    boxes.write_text(boxes.read_text().replace(" 0 ", " x ", 1).replace("\t0\t", "\tx\t", 1) + "liver\r\n")
    gone, other = found(folder, "volume-1.nii")[0], found(folder, "volume-28.nii")[0]
    gone.unlink()
    shutil.copy(other, other.with_name("volume-77.nii"))
    return ["segmentation-0.txt, line ", "volume-1.nii, which has", "volume-77.nii: has no boxes"]


def spoil_skinl_derm(folder):
    set_cell(found(folder, "meta.csv")[0], 1, "diagnosis", "")
    images = found(folder / "release_v0" / "images", "*.[jJ][pP][gG]")
    images[-1].unlink()
    shutil.copy(images[0], images[0].with_name("other.jpg"))
    return ["has no diagnosis", " is missing", "other.jpg: is not in meta.csv"]


SPOIL = {name.removeprefix("spoil_"): spoil for name, spoil in list(globals().items()) if name.startswith("spoil_")}
LEFT_OUT = (" is missing", "which has", "is not named in", " in no table", "has no row", "is not in", "is not directly")


def test_no_original_is_left_out_here():
    assert {mm.dataset(name).recipe for name in SPOIL} == {card.recipe for card in mm.datasets()}


@pytest.mark.parametrize("dataset", SPOIL)
def test_all_kinds_of_problems_are_one_error_and_a_partial_build_hides_no_row_that_cannot_be_used(
    unpacked, refused, dataset
):
    folder = unpacked(dataset)
    parts = SPOIL[dataset](folder)
    error = refused(dataset, folder)
    assert [part for part in parts if not any(part in problem for problem in error.problems)] == [], str(error)
    partial = refused(dataset, folder, allow_partial=True)
    assert any(parts[0] in problem for problem in partial.problems), str(partial)
    usable = [part for part in parts[1:] if part.startswith("samples:") or any(end in part for end in LEFT_OUT)]
    if dataset != "bus":
        told = [part for part in usable if any(part in problem for problem in partial.problems)]
        assert told == [], str(partial)
        assert "--allow-partial" in str(error)
    assert "--allow-partial" not in str(partial)


@pytest.mark.parametrize(
    ("dataset", "tables", "column"),
    [
        ("fundus", "*_Labels.csv", "MYA"),
        ("derm", "*_GroundTruth.csv", "BCC"),
        ("mammo_mass", "mass_case_description_*.csv", "pathology"),
        ("skinl_derm", "*_indexes.csv", "indexes"),
    ],
)
def test_columns_that_several_tables_lack_are_told_together(unpacked, refused, dataset, tables, column):
    folder = unpacked(dataset)
    spoilt = found(folder, tables)[:2]
    for table in spoilt:
        set_cell(table, 0, column, "other")
    error = refused(dataset, folder)
    assert isinstance(error, TableError)
    for table in spoilt:
        assert any(f"{table.name}: has no column {column!r}" in problem for problem in error.problems), str(error)
        assert any(f"{table.name}: is not the table expected" in problem for problem in error.problems), str(error)


# The error


LISTING = {"missing": ["t.csv, line 3: 7.png is missing"], "unnamed": ["8.png: is not in t.csv"]}


@pytest.mark.parametrize(
    ("unusable", "kind"), [(DamagedSourceError("v.nii: is damaged"), DamagedSourceError), (None, TableError)]
)
def test_the_kind_is_that_of_what_comes_first(unusable, kind):
    listing = Listing({}, **LISTING, unusable=[unusable] if unusable else [])
    with pytest.raises(kind):
        refuse_misfits(listing, "here", allow_partial=False)


def test_the_message_counts_every_kind_lists_it_and_says_what_allow_partial_would_do():
    unusable = [TableError("t.csv, line 2: has no label"), LabelError("x.png: tells no patient")]
    with pytest.raises(TableError) as caught:
        refuse_misfits(
            Listing({}, **LISTING, unusable=unusable), "here", allow_partial=False, way_out="Fetch it again."
        )
    assert str(caught.value) == (
        "here: 2 rows or images cannot be used, 1 row without their image, 1 image without a row.\n"
        "  - t.csv, line 2: has no label\n"
        "  - x.png: tells no patient\n"
        "  - t.csv, line 3: 7.png is missing\n"
        "  - 8.png: is not in t.csv\n"
        "Fetch it again. Check that the download is whole. With --allow-partial (allow_partial=True), rows without "
        "image and images without row are left out, but what else is wrong is not."
    )


def test_a_listing_that_fits_or_may_be_partial_passes():
    refuse_misfits(Listing({}), "here", allow_partial=False)
    refuse_misfits(Listing({}, **LISTING), "here", allow_partial=True)


def test_one_step_that_fails_alone_raises_its_own_error():
    own = TableError("a.csv: is empty.")
    with pytest.raises(TableError) as caught, told_together() as step, step():
        raise own
    assert caught.value is own


# Own data


def write_images(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), len(name)).save(path)


@pytest.fixture
def own(tmp_path):
    """Write a card, and open it with a source that cannot become a dataset; return the error."""

    def refuse(text, source, **options):
        card = tmp_path / "card.yaml"
        card.write_text(text)
        with pytest.raises(SourceError) as caught:
            open_own(card, source, **options)
        return caught.value

    return refuse


TABLE = "id: mine\nrecipe: table\ntable: t.csv\nimage: file\ntasks: {kind: {column: kind, labels: [a, b]}}\n"


def test_what_is_wrong_with_a_table_of_own_data_is_one_error(own, tmp_path):
    source = tmp_path / "data"
    write_images(source, [*(f"{number}.png" for number in range(12)), "other.png"])
    rows = [
        *(f"{number}.png,{'ab'[number % 2]}" for number in range(10)),
        "10.png,c",
        "11.png,",
        "gone.png,a",
        "0.png,a",
    ]
    (source / "t.csv").write_text("\n".join(["file,kind", *rows, "short"]))
    error = own(TABLE, source)
    where = f"{source}: t.csv, line"
    assert error.problems == (
        f"{where} 16: has 1 cells, the head has 2",
        f"{where} 13: kind is empty",
        f"{where} 15: 0.png is already named in {where} 2",
        f"kind: 'c' is not under labels (1 image, the first is {source}: 10.png)",
        f"{where} 14: gone.png is missing",
        f"{source}: other.png: no row of t.csv names it",
    )
    assert "3 rows or images cannot be used, the labels are no task yet, 1 row without their image, 1 image" in str(
        error
    )
    assert own(TABLE, source, allow_partial=True).problems == error.problems[:4]


def test_what_only_follows_from_rows_that_cannot_be_used_is_not_told(own, tmp_path):
    write_images(tmp_path / "data", [f"{number}.png" for number in range(4)])
    (tmp_path / "data" / "t.csv").write_text("file,kind\n0.png,a\n1.png,\n2.png,\n3.png,\n")
    error = own(TABLE, tmp_path / "data")  # that no image is called b, and that there are too few, may be for that
    assert [problem.rpartition(": ")[2] for problem in error.problems] == ["kind is empty"] * 3


def test_what_is_wrong_with_folders_of_own_data_is_one_error(own, tmp_path):
    source = tmp_path / "data"
    names = [
        f"{split}/{label}/P{number}_1.png" for split in ("train", "val", "test") for label in "ab" for number in (1, 2)
    ]
    write_images(source, [*names, "train/c/P3_1.png", "train/a/nobody.png"])
    (source / "train" / "a" / "scan.dcm").write_bytes(b"")
    error = own("id: mine\nrecipe: folder\nlabels: [a, b]\ngroup: '^P(\\d+)'\n", source)
    problems = "\n".join(error.problems)
    for part in (
        "nobody.png: the pattern of group",
        "'c' is not under labels",
        "group 1 is in test and train and val of the source",
        "scan.dcm: is not PNG, JPEG or TIFF",
    ):
        assert part in problems
    assert "Move images of one group into one split" in str(error)


def test_labels_and_torn_groups_of_own_data_are_told_together(own, tmp_path):
    names = [f"{split}/{label}/P1_{number}.png" for split in ("train", "val") for label in "abc" for number in (1, 2)]
    write_images(tmp_path / "data", names)
    error = own("id: mine\nrecipe: folder\nlabels: [a, b]\ngroup: '^P(\\d+)'\n", tmp_path / "data")
    assert isinstance(error, LabelError | CountMismatchError)
    assert ("'c' is not under labels" in str(error), "group 1 is in train and val" in str(error)) == (True, True)


def test_all_problems_of_own_data_are_in_a_file(tmp_path):
    source, root, card = tmp_path / "data", tmp_path / "root", tmp_path / "card.yaml"
    write_images(source, [f"{number}.png" for number in range(30)])
    (source / "t.csv").write_text("\n".join(["file,kind", *(f"{number}.png," for number in range(30))]))
    card.write_text(TABLE)
    with pytest.raises(TableError, match="All 30 are listed in") as caught:
        mm.build(card, source, root, workers=1, size=16)
    assert Path(root / "mine.problems.txt").read_text().splitlines() == list(caught.value.problems)
