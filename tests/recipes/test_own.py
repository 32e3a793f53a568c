"""People's own data: a short card and a folder of images become a full card and a recipe, or every problem is told."""

import pickle
import re
import shutil
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import openpyxl
import pytest
from PIL import Image

from medimeta.catalogue.bibtex import bibtex
from medimeta.catalogue.catalogue import default_catalogue
from medimeta.catalogue.own_reading import read_own_card
from medimeta.catalogue.reading import read_licences
from medimeta.catalogue.schema import TaskTarget, consistency_problems
from medimeta.catalogue.views import dataset_details, dataset_summary
from medimeta.errors import (
    CardError,
    CountMismatchError,
    DamagedStoreError,
    LabelError,
    SourceNotFoundError,
    TableError,
    UnknownNameError,
)
from medimeta.recipes.image_names import ImageNames
from medimeta.recipes.own import open_own
from medimeta.recipes.recipe import Options
from medimeta.recipes.stratified import shares, stratified_split
from medimeta.store.info import info_text, known_dataset, known_task, read_info
from medimeta.store.licence import licence_text

FOLDER = "id: my_cells\nrecipe: folder\ntask: cell type\n"
TABLE = "id: my_cells\nrecipe: table\ntable: labels.csv\nimage: file\ntasks: {cell type: kind}\n"


def image(path, mode="RGB", size=(12, 9), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, 80).save(path, **options)


@pytest.fixture
def cells(tmp_path):
    """A folder of 3 classes with 10 images each, with names that are no identifiers."""
    for name in ("Bäsophil & co", "lymph node", "eosinophil"):
        for number in range(10):
            image(tmp_path / "cells" / name / f"p{number // 2} é{number}.png")
    return tmp_path / "cells"


@pytest.fixture
def table(tmp_path):
    """Write a table, and an image for each of its first cells; the images lie in a folder."""

    def write(*lines, name="labels.csv", images=None):
        top = tmp_path / "data"
        top.mkdir(exist_ok=True)
        (top / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        for member in [f"img/{line.split(',')[0]}" for line in lines[1:]] if images is None else images:
            image(top / member, "L", (4, 4))
        return top

    return write


@pytest.fixture
def opened(tmp_path):
    """Write a card and open it with a source."""

    def open_card(text, source, **options):
        (tmp_path / "my.yaml").write_text(text, encoding="utf-8")
        return open_own(tmp_path / "my.yaml", source, **options)

    return open_card


def listed(opened):
    card, recipe, archive = opened
    return recipe.listing(archive, Options()).samples[card.id]


def rows(count, kinds=("a", "b"), more=""):
    return [f"{number}.png,{kinds[number % len(kinds)]}{more.format(number)}" for number in range(count)]


# The card


@pytest.fixture
def said_of(tmp_path):
    """Write a card and return what is said of it."""

    def read(text):
        (tmp_path / "my.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(CardError) as caught:
            read_own_card(tmp_path / "my.yaml")
        return str(caught.value).removeprefix(f"{tmp_path}/my.yaml: ")

    return read


def test_all_problems_of_a_card_come_at_once(said_of):
    text = "id: BUS\nrecipe: table\nname: yes\ncolour: grey\nchannels: 2\nratios: [70, 30, 0]\n"
    text += "tasks: {a: {target: rank}}\n"
    assert said_of(text) == (
        "9 problems in the card:\n"
        "  - my.yaml: id: 'BUS' is a dataset of MedIMeta; choose another\n"
        "  - my.yaml: id: String should match pattern '^[a-z][a-z0-9_]*$', got 'BUS'\n"
        "  - my.yaml: name: Input should be a valid string, got True; "
        "put it in quotes: YAML reads yes, no, on and off as true and false\n"
        "  - my.yaml: channels: Input should be 1 or 3, got 2\n"
        "  - my.yaml: ratios.2: Input should be greater than 0, got 0\n"
        "  - my.yaml: table: Field required\n"
        "  - my.yaml: image: Field required\n"
        "  - my.yaml: tasks.a.target: unknown target 'rank'. "
        "Known: binary, multi-class, multi-label, ordinal., got 'rank'\n"
        "  - my.yaml: colour: there is no such field"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id: x\n", "recipe: must be folder (a folder for each class) or table (a table of labels)"),
        (
            "id: x\nrecipe: fodler\n",
            "recipe: must be folder (a folder for each class) or table (a table of labels), got",
        ),
        ("id: dr__regular\nrecipe: folder\n", "id: 'dr__regular' is a dataset of MedIMeta; choose another"),
        (FOLDER + "labels: [no, yes]\n", "labels: False is no text: put it in quotes: YAML reads yes, no"),
        (FOLDER + "labels: [a, b, a]\n", "labels: names 'a' twice"),
        (FOLDER + "labels: a\n", "labels: must be a list of labels in their order, or a mapping"),
        (FOLDER + "labels: [a, b, c]\ntarget: binary\n", "a binary task has two labels, not 3"),
        (FOLDER + "labels: {2: b, 1: a}\ntarget: ordinal\n", "the grades of an ordinal task must ascend, got [2, 1]"),
        (FOLDER + "target: multi-label\n", "an image lies in one folder only"),
        (FOLDER + "group: '('\n", "group: is no regular expression"),
        (FOLDER + "licence: CC BY-NC 4.0\ncommercial: true\n", "commercial: leave it out: CC-BY-NC-4.0 does not allow"),
        (FOLDER.replace("cell type", "split"), "task: annotations.csv has a column of that name already"),
        (FOLDER.replace("cell type", "a/b"), "task: String should match pattern"),
        (TABLE.replace("kind", "{column: kind, columns: [a]}"), "tasks.cell type: needs either column, or columns"),
        (TABLE.replace("kind", "{columns: [a, b], separator: ;}"), "tasks.cell type: separator is for labels in one"),
        (TABLE.replace("kind", "{column: a, target: multi-label}"), "a multi-label task needs separator or columns"),
        (TABLE.replace("kind", "a, Cell-Type: b"), "the tasks 'cell type' and 'Cell-Type' have one name"),
        (TABLE.replace("{cell type: kind}", "{}"), "tasks: Dictionary should have at least 1 item"),
        ("id: &a x\nrecipe: folder\nname: *a\n", "refers back with *"),
        ("- a\n", "must be a mapping of fields, got list"),
        ("id: [x", "is not valid YAML"),
        ("id: !!python/object/apply:os.getcwd []\n", "is not valid YAML: could not determine a constructor"),
        ("{a: " * 20_000, "is not valid YAML"),
        (b"\xff\xfe", "cannot be read: 'utf-8' codec"),
        ("#" * 100_001, "is longer than the 100,000 bytes that such a card may have"),
    ],
)
def test_each_mistake_in_a_card_is_told(said_of, text, message):
    found = said_of(text)
    assert message in found
    assert found.startswith("1 problem in the card:\n")


@pytest.mark.parametrize(("page", "count"), [("README.md", 1), ("CONTRIBUTING.md", 2)])
def test_the_cards_of_the_documentation_are_cards_of_at_most_ten_lines(tmp_path, page, count):
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    cards = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(cards) == count
    for card in cards:
        assert len(card.splitlines()) <= 10
        (tmp_path / "my.yaml").write_text(card, encoding="utf-8")
        assert read_own_card(tmp_path / "my.yaml").id.startswith("my_")


def test_a_card_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CardError, match="nope.yaml: cannot be read .No such file"):
        read_own_card(tmp_path / "nope.yaml")


# Folders


def test_class_folders_become_a_task(opened, cells):
    card, recipe, archive = opened(FOLDER, cells)
    [task] = card.tasks
    assert (task.id, task.target, task.primary) == ("my_cells/cell type", TaskTarget.MULTICLASS, True)
    assert dict(task.labels) == {0: "Bäsophil & co", 1: "eosinophil", 2: "lymph node"}
    samples = listed((card, recipe, archive))
    assert [sample.original_filepath for sample in samples] == sorted(archive.members)
    splits = recipe.splits(card.id, samples)
    assert card.samples.model_dump() == {"total": 30, "train": 21, "val": 3, "test": 6}
    assert Counter(splits) == {"train": 21, "val": 3, "test": 6}
    per_class = Counter((sample.labels["cell type"], split) for sample, split in zip(samples, splits, strict=True))
    assert set(per_class.values()) == {7, 1, 2}
    assert card.original_samples.train == 30
    assert (card.name, card.channels, card.released_licence) == ("my cells", 3, "unspecified")


def test_a_zip_gives_what_its_folder_gives_even_with_a_folder_around(opened, cells, tmp_path):
    expected = opened(FOLDER, cells)
    for around in ("", "my data/"):
        with zipfile.ZipFile(tmp_path / "cells.zip", "w") as file:
            for member in expected[2].members:
                file.write(cells / member, around + member)
            file.writestr(f"__MACOSX/{around}._x.png", b"")
        found = opened(FOLDER, tmp_path / "cells.zip")
        assert found[:2] == expected[:2]
        assert listed(found) == listed(expected)


def test_the_recipe_pickles_and_lists_the_same(opened, cells):
    card, recipe, archive = opened(FOLDER, cells)
    again = pickle.loads(pickle.dumps((recipe, archive)))
    assert again == (recipe, archive)
    assert listed((card, *again)) == listed((card, recipe, archive))


def test_two_classes_are_a_binary_task_and_the_order_of_labels_decides_which_is_positive(opened, cells):
    shutil.rmtree(cells / "lymph node")
    task = opened(FOLDER, cells)[0].primary
    assert (task.target, task.classes) == (TaskTarget.BINARY, ("Bäsophil & co", "eosinophil"))
    task = opened(FOLDER + "labels: [eosinophil, Bäsophil & co]\n", cells)[0].primary
    assert task.classes == ("eosinophil", "Bäsophil & co")


def test_labels_may_be_renamed_and_joined(opened, cells):
    found = opened(FOLDER + "labels: {lymph node: tissue, Bäsophil & co: cell, eosinophil: cell}\n", cells)
    assert found[0].primary.classes == ("tissue", "cell")
    assert Counter(sample.labels["cell type"] for sample in listed(found)) == {"tissue": 10, "cell": 20}


def test_names_are_compared_however_their_accents_are_stored(opened, cells):
    (cells / "Bäsophil & co").rename(cells / "Ba\N{COMBINING DIAERESIS}sophil & co")
    assert opened(FOLDER + "labels: [lymph node, eosinophil, Bäsophil & co]\n", cells)[0].primary.outputs == 3


def test_labels_that_do_not_fit_are_told_all_at_once(opened, cells):
    with pytest.raises(LabelError) as caught:
        opened(FOLDER + "labels: [lymph node, eosinofil, basophil]\n", cells)
    told = str(caught.value)
    assert f"cell type: 'Bäsophil & co' is not under labels (10 images, the first is {cells}: Bäsophil & co/p0" in told
    assert "cell type: 'eosinophil' is not under labels" in told
    assert "cell type: no image has the label 'eosinofil'" in told
    assert "cell type: no image has the label 'basophil'" in told


def test_grades_in_words_and_in_numbers_are_ordinal(opened, tmp_path):
    for grade in ("mild", "none", "severe"):
        for number in range(3):
            image(tmp_path / "words" / grade / f"{number}.png")
    found = opened(FOLDER + "target: ordinal\nlabels: [none, mild, severe]\n", tmp_path / "words")
    assert dict(found[0].primary.labels) == {0: "none", 1: "mild", 2: "severe"}
    assert [sample.labels["cell type"] for sample in listed(found)] == [1] * 3 + [0] * 3 + [2] * 3
    with pytest.raises(LabelError, match="'mild' is no whole number .3 images.*name the grades in their order"):
        opened(FOLDER + "target: ordinal\n", tmp_path / "words")
    for number, grade in enumerate(("none", "mild", "severe")):
        (tmp_path / "words" / grade).rename(tmp_path / "words" / str((1, 2, 10)[number]))
    card = opened(FOLDER + "target: ordinal\n", tmp_path / "words")[0]
    assert dict(card.primary.labels) == {1: "1", 2: "2", 10: "10"}
    card = opened(FOLDER + "target: ordinal\nlabels: {1: none, 2: mild, 10: severe}\n", tmp_path / "words")[0]
    assert dict(card.primary.labels) == {1: "none", 2: "mild", 10: "severe"}


def test_numbers_as_classes_are_in_the_order_of_numbers(opened, tmp_path):
    for name in ("10", "9", "b", "1.0"):
        for number in range(3):
            image(tmp_path / "n" / name / f"{number}.png")
    assert opened(FOLDER, tmp_path / "n")[0].primary.classes == ("1", "9", "10", "b")


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "validation", "TEST")])
def test_folders_of_splits_are_kept(opened, tmp_path, names):
    for split, count in zip(names, (4, 2, 3), strict=True):
        for name in ("a", "b"):
            for number in range(count):
                image(tmp_path / "s" / split / name / f"{number}.png")
    found = opened(FOLDER, tmp_path / "s")
    assert found[0].samples.model_dump() == {"total": 18, "train": 8, "val": 4, "test": 6}
    assert found[0].original_samples == found[0].samples
    assert found[0].primary.classes == ("a", "b")
    assert found[0].notes == ()


def test_of_two_parts_the_second_is_test_and_val_is_cut_from_train(opened, tmp_path):
    for split, count in (("train", 20), ("valid", 5)):
        for name in ("a", "b"):
            for number in range(count):
                image(tmp_path / "s" / split / name / f"{number}.png", size=(2, 2))
    card = opened(FOLDER, tmp_path / "s")[0]
    assert card.samples.model_dump() == {"total": 50, "train": 34, "val": 6, "test": 10}
    assert card.original_samples.model_dump() == {"total": 50, "train": 40, "val": 10, "test": 0}
    assert card.notes[0].startswith("The source has train and val only: val is the test split, and val was cut")


def test_folders_that_may_be_splits_or_classes_are_refused_unless_the_card_says_what_they_are(opened, tmp_path):
    for name in ("train", "test", "tram"):
        for number in range(3):
            image(tmp_path / "s" / name / "street" / f"{number}.png")
    with pytest.raises(TableError, match="has the folders test and train, which look like splits, beside tram"):
        opened(FOLDER, tmp_path / "s")
    card = opened(FOLDER + "labels: [train, tram, test]\n", tmp_path / "s")[0]
    assert card.primary.classes == ("train", "tram", "test")


def test_groups_in_file_names_are_not_torn_apart(opened, cells):
    found = opened(FOLDER + "group: ^p(\\d+)\n", cells)
    samples = listed(found)
    splits = found[1].splits("my_cells", samples)
    parts = {}
    for sample, split in zip(samples, splits, strict=True):
        assert sample.annotations == {"group": sample.group}
        parts.setdefault(sample.group, set()).add(split)
    assert len(parts) == 5
    assert all(len(splits) == 1 for splits in parts.values())
    with pytest.raises(TableError, match="3 rows or images cannot be used") as caught:
        opened(FOLDER + "group: é[1-9]\n", cells)
    assert len(caught.value.problems) == 3


def test_what_is_hidden_skipped_or_no_image_is_left_out_and_what_is_loose_is_told(opened, cells):
    for name in (".ipynb_checkpoints/x-checkpoint.png", "lymph node/.hidden.png", "lymph node/0_MASK.png"):
        image(cells / name)
    (cells / "lymph node" / "notes.txt").write_text("no image")
    (cells / "lymph node" / "scan.dcm").write_bytes(b"")
    image(cells / "loose.png")
    card, recipe, archive = opened(FOLDER + "skip: ['*_mask.png']\n", cells)
    listing = recipe.listing(archive, Options())
    assert card.samples.total == len(listing.samples["my_cells"]) == 30
    assert listing.unnamed == [
        f"{cells}: loose.png: lies in no class folder",
        f"{cells}: lymph node/scan.dcm: is not PNG, JPEG or TIFF; convert it, or name it under skip",
    ]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda top: [shutil.rmtree(top / name) for name in ("lymph node", "eosinophil")],
            LabelError,
            "every image has",
        ),
        (lambda top: shutil.rmtree(top), SourceNotFoundError, "there is no such file or folder"),
        (lambda top: [shutil.rmtree(path) for path in top.iterdir()], SourceNotFoundError, "has no folder with PNG"),
        (lambda top: (top / "eosinophil").rename(top / "Lymph_Node"), LabelError, "'Lymph_Node' and 'lymph node' are"),
    ],
    ids=["one class", "no folder", "empty", "alike"],
)
def test_folders_that_are_no_task_are_refused(opened, cells, change, error, message):
    change(cells)
    with pytest.raises(error, match=message):
        opened(FOLDER, cells)


def test_classes_too_small_for_three_parts_are_told_and_a_part_without_images_is_refused(opened, cells):
    for path in sorted((cells / "eosinophil").iterdir())[2:]:
        path.unlink()
    assert opened(FOLDER, cells)[0].notes[1:] == ("cell type: eosinophil has 2 images, none of them in val.",)
    for name in ("Bäsophil & co", "lymph node"):
        for path in sorted((cells / name).iterdir())[1:]:
            path.unlink()
    with pytest.raises(CountMismatchError, match=r"val has no image \(of 4\)"):
        opened(FOLDER, cells)


def test_a_random_split_by_image_is_told(opened, cells):
    [note] = opened(FOLDER, cells)[0].notes
    assert note.startswith("The splits are at random by image")


# Tables


def test_a_table_gives_tasks_groups_splits_and_annotations(opened, table):
    parts = ("train", "Training", "valid", "test")
    lines = [
        f"{number}.png,{'ab'[number % 2]},{number % 3}.0,{'x;y' if number % 2 else ''},{number % 2},{number // 4 % 2},"
        f"P{number % 4},{parts[number % 4]},{number},é"
        for number in range(24)
    ]
    top = table("file,kind,grade,tags,edema,effusion,patient,part,split,Ort", *lines)
    text = (
        "id: my_cells\nrecipe: table\ntable: labels.csv\nimage: file\ngroup: patient\nsplit: part\ntasks:\n"
        "  kind: {column: kind, labels: {b: benign, a: all else}}\n  grade: {column: grade, target: ordinal}\n"
        "  tags: {column: tags, separator: ;}\n  signs: {columns: [edema, effusion]}\n"
    )
    found = card, recipe, _ = opened(text, top)
    kinds = {task.name: (task.target.word, dict(task.labels)) for task in card.tasks}
    assert kinds == {
        "kind": ("binary", {0: "benign", 1: "all else"}),
        "grade": ("ordinal", {0: "0", 1: "1", 2: "2"}),
        "tags": ("multi-label", {0: "x", 1: "y"}),
        "signs": ("multi-label", {0: "edema", 1: "effusion"}),
    }
    assert card.samples.model_dump() == {"total": 24, "train": 12, "val": 6, "test": 6}
    samples = listed(found)
    assert samples[5].labels == {
        "kind": "benign",
        "grade": 2,
        "tags": frozenset({"x", "y"}),
        "signs": frozenset({"edema", "effusion"}),
    }
    assert (samples[5].original_split, samples[5].group) == ("train", "P1")
    assert samples[5].annotations == {"patient": "P1", "source_split": "5", "Ort": "é"}
    assert [sample.member for sample in samples] == [f"img/{number}.png" for number in range(24)]
    assert recipe.splits(card.id, samples) == [sample.original_split for sample in samples]
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_a_group_is_never_torn_apart_by_a_random_split(opened, table):
    lines = [f"{number}.png,{'ab'[number % 2]},P{number % 10}" for number in range(60)]
    found = opened(TABLE + "group: who\n", table("file,kind,who", *lines))
    samples = listed(found)
    parts = {}
    for sample, split in zip(samples, found[1].splits("my_cells", samples), strict=True):
        parts.setdefault(sample.group, set()).add(split)
    assert len(parts) == 10
    assert all(len(splits) == 1 for splits in parts.values())


def test_every_bad_row_is_told_at_once(opened, table):
    top = table(
        "file,kind,f,who,part",
        *("0.png,a,1,P,train", "1.png,,0,P,test", "2.png,nan,x,P,val", "0.png,a,1,P,train", "3.png,b,1,,fold 3"),
    )
    text = TABLE.replace("kind}", "kind, signs: {columns: [f]}}") + "group: who\nsplit: part\n"
    with pytest.raises(TableError) as caught:
        opened(text, top)
    where = f"{top}: labels.csv, line"
    assert caught.value.problems == (
        f"{where} 3: kind is empty",
        f"{where} 4: kind is empty",
        f"{where} 4: f is 'x', expected 0 or 1",
        f"{where} 5: img/0.png is already named in {where} 2",
        f"{where} 6: has no who",
        f"{where} 6: part is 'fold 3', expected train, val or test",
    )


def test_an_empty_cell_may_be_given_a_label(opened, table):
    top = table("file,kind", *rows(12, ("a", "")))
    card = opened(TABLE.replace("kind}", "{column: kind, labels: {a: seen, '': not seen}}}"), top)[0]
    assert card.primary.classes == ("seen", "not seen")


def test_rows_without_image_and_images_without_row_are_listed(opened, table):
    top = table("file,kind", *rows(12), "gone.png,a", "scan.bmp,a", ",a", images=[f"x/{n}.png" for n in range(14)])
    (top / "scan.bmp").write_bytes(b"")
    card, recipe, archive = opened(TABLE, top, allow_partial=True)
    listing = recipe.listing(archive, Options())
    assert card.samples.total == 12
    assert listing.missing == [
        f"{top}: labels.csv, line 14: gone.png is missing",
        f"{top}: labels.csv, line 15: scan.bmp is not PNG, JPEG or TIFF",
        f"{top}: labels.csv, line 16: an image without a name is missing",
    ]
    assert listing.unnamed == [f"{top}: x/{number}.png: no row of labels.csv names it" for number in (12, 13)]
    listing = opened(TABLE + "skip: [x/12.png, '13.*']\n", top)[1].listing(archive, Options())
    assert listing.unnamed == []


@pytest.mark.parametrize(
    "cell", ["IMG/{0}.PNG", "{0}", r".\img\{0}.png", "/home/me/data/img/{0}.png", "data/img/{0}", "../img/{0}.png"]
)
def test_images_are_found_by_more_or_less_than_their_path(opened, table, cell):
    lines = [f"{cell.format(number)},{'ab'[number % 2]}" for number in range(10)]
    top = table("file,kind", *lines, images=[f"img/{number}.png" for number in range(10)])
    assert [sample.member for sample in listed(opened(TABLE, top))] == [f"img/{number}.png" for number in range(10)]


def test_files_that_differ_in_case_alone_are_told_apart_by_case():
    names = ImageNames(["img/A.png", "img/a.png"])
    assert [names.find(cell) for cell in ("A.png", "img/a.png")] == [("img/A.png",), ("img/a.png",)]
    assert len(names.find("a")) == 2


def test_an_image_is_not_taken_for_another(opened, table):
    images = [*(f"a/{number}.png" for number in range(10)), "b/0.png", "1.jpg", "c/d/2.png"]
    top = table("file,kind", *rows(10), images=images)
    with pytest.raises(TableError) as caught:
        opened(TABLE, top)
    assert caught.value.problems == (
        f"{top}: labels.csv, line 2: 0.png may be a/0.png or b/0.png",
        f"{top}: labels.csv, line 4: 2.png may be a/2.png or c/d/2.png",
        f"{top}: 1.jpg: no row of labels.csv names it",
    )
    shutil.rmtree(top)
    images = [*(f"a/{number}.png" for number in range(10)), "a/0.png.png", "a/1.jpg"]
    assert [sample.member for sample in listed(opened(TABLE, table("file,kind", *rows(10), images=images)))] == images[
        :10
    ]
    top = table("file,kind", *(f"x/{line}" for line in rows(10)), images=[])
    with pytest.raises(SourceNotFoundError, match="column 'file' names no PNG, JPEG or TIFF image.*'x/0.png'"):
        opened(TABLE, top)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_tables_of_every_spreadsheet_program_are_read(opened, table, delimiter):
    lines = [line.replace(",", delimiter) for line in ["\ufefffile,kind", *rows(10, ("é", "Ω"))]]
    top = table(*lines, images=[f"{number}.png" for number in range(10)])
    assert opened(TABLE, top)[0].primary.classes == ("é", "Ω")


def test_a_spreadsheet_is_a_table(opened, table):
    top = table("x", name="x.txt", images=[f"{number}.png" for number in range(10)])
    book = openpyxl.Workbook()
    book.active.append(["file", "kind"])
    for number in range(10):
        book.active.append([f"{number}.png", float(number % 2)])
    book.save(top / "labels.xlsx")
    assert opened(TABLE.replace(".csv", ".xlsx"), top)[0].primary.classes == ("0", "1")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (
            TABLE.replace("labels.csv", "lables.csv"),
            SourceNotFoundError,
            "no table called lables.csv. There is: labels.csv",
        ),
        (TABLE.replace("kind", "kin"), TableError, "its columns are file, kind, n"),
        (TABLE + "group: who\nsplit: part\n", TableError, "(?s)has no column 'who'.*has no column 'part'"),
        (TABLE.replace("kind", "n"), LabelError, "every image has a label of its own, such as '0'"),
        (TABLE.replace("kind", "{column: n, target: ordinal, labels: [a, b]}"), LabelError, "'0' is not under labels"),
        (
            TABLE.replace("kind", "{column: kind, target: binary}"),
            LabelError,
            "a binary task has two labels, not 3: 'a', 'b'",
        ),
    ],
)
def test_a_card_that_does_not_fit_its_table_is_told(opened, table, text, error, message):
    top = table("file,kind,n", *rows(12, ("a", "b", "c"), more=",{0}"))
    with pytest.raises(error, match=message):
        opened(text, top)


def test_a_split_that_tears_groups_apart_is_refused(opened, table):
    lines = [f"{number}.png,{'ab'[number % 2]},P{number // 2},{('train', 'test')[number % 2]}" for number in range(12)]
    top = table("file,kind,who,part", *lines)
    with pytest.raises(CountMismatchError, match="group P0 is in test and train of the source"):
        opened(TABLE + "group: who\nsplit: part\n", top)
    assert opened(TABLE + "split: part\n", top)[0].samples.test == 6


# Pixels


def render(found, member, size=8):
    _, recipe, archive = found
    sample = next(sample for sample in listed(found) if sample.member == member)
    return recipe.render(archive, sample, Options(size=size))


def test_grey_and_colour_are_made_one(opened, cells):
    image(cells / "eosinophil" / "grey.png", "L")
    colour, grey = opened(FOLDER, cells), opened(FOLDER + "channels: 1\n", cells)
    names = "eosinophil/grey.png", "eosinophil/p0 é0.png"
    assert [render(colour, name).pixels.shape for name in names] == [(8, 8, 3)] * 2
    assert [render(colour, name).converted_from for name in names] == ["L", None]
    assert [render(grey, name).pixels.shape for name in names] == [(8, 8)] * 2
    assert [render(grey, name).converted_from for name in names] == [None, "RGB"]


def test_images_are_padded_cropped_or_stretched(opened, cells):
    picture = np.zeros((8, 16), np.uint8)
    picture[:, 4:12] = 255
    Image.fromarray(picture).save(cells / "eosinophil" / "wide.png")
    pixels = {
        square: render(opened(f"{FOLDER}channels: 1\nsquare: {square}\n", cells), "eosinophil/wide.png", 16).pixels
        for square in ("pad", "crop", "stretch")
    }
    assert np.all(pixels["crop"] == 255)
    assert np.array_equal(pixels["pad"][4:12], picture)
    assert not pixels["pad"][:4].any()
    assert np.array_equal(pixels["stretch"], np.repeat(picture, 2, axis=0))


def test_photographs_are_turned_upright(opened, cells):
    exif = Image.Exif()
    exif[0x0112] = 3  # held upside down
    upper = np.zeros((16, 16), np.uint8)
    upper[:8] = 255
    Image.fromarray(upper).save(cells / "eosinophil" / "photo.png", exif=exif)
    pixels = render(opened(FOLDER, cells), "eosinophil/photo.png", 16).pixels
    assert np.array_equal(pixels[..., 0], upper[::-1])


# What others make of the card


@pytest.mark.parametrize(
    ("line", "commercial", "told"),
    [
        ("", False, "Licence not specified (unspecified)\nNo licence was named"),
        ("licence: CC BY 4.0\n", True, "(CC-BY-4.0)\nhttps://creativecommons.org/licenses/by/4.0/"),
        ("licence: hospital, internal\ncommercial: true\n", True, "hospital, internal\nThe owner of the data named"),
    ],
)
def test_the_terms_of_own_data_are_told(opened, cells, line, commercial, told):
    card = opened(FOLDER + line, cells)[0]
    catalogue = default_catalogue()
    assert catalogue.commercial(card) is commercial
    assert told in licence_text(card)
    assert f"Commercial use: {'allowed' if commercial else 'not allowed'}." in licence_text(card)
    assert dataset_summary(card, catalogue)["commercial_use"] is commercial
    assert dataset_details(card, catalogue)["id"] == "my_cells"
    assert bibtex(card).count("@") == 1  # MedIMeta alone: own data have no paper


def test_a_card_comes_back_from_what_is_stored(opened, cells, tmp_path, monkeypatch):
    card = opened(FOLDER + "name: Meine Zellen & Co\nlicence: ours\ncommercial: true\n", cells)[0]
    folder = tmp_path / "root" / "my_cells"
    folder.mkdir(parents=True)
    counts = card.samples.model_dump(exclude={"total"})
    original = card.original_samples.model_dump(exclude={"total"})
    (folder / "info.yaml").write_text(info_text(card, 8, counts, original), encoding="utf-8")
    assert read_info(folder).card() == card
    assert known_dataset("My-Cells", tmp_path / "root") == card
    assert known_task("my cells/Cell_Type", tmp_path / "root") == known_task("my_cells", tmp_path / "root")
    assert known_dataset("bus", tmp_path / "root") == default_catalogue().dataset("bus")
    with pytest.raises(UnknownNameError, match="unknown task of my_cells 'cell tipe'. Did you mean 'cell type'"):
        known_task("my_cells/cell tipe", tmp_path / "root")
    with pytest.raises(UnknownNameError, match="unknown dataset 'my_cells'"):
        known_dataset("my_cells", tmp_path)
    monkeypatch.setenv("MEDIMETA_ROOT", str(tmp_path / "root"))
    assert known_task("my_cells/cell type") == card.primary
    text = (folder / "info.yaml").read_text(encoding="utf-8").replace("total_num_samples: 30", "total_num_samples: x")
    (folder / "info.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(DamagedStoreError, match="info.yaml of my_cells: total: Input should be a valid integer"):
        known_dataset("my_cells")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sources": []}, "sources: must name at least one source"),
        ({"own_licence": {"id": "mine"}}, "own_licence: is for people's own data; add the licence to licences.yaml"),
    ],
)
def test_what_only_own_data_may_do_is_refused_in_cards_of_the_catalogue(change, message):
    bus = default_catalogue().dataset("bus").model_dump(mode="json")
    found = [f"{field}: {problem}" for field, problem in consistency_problems(bus | change, read_licences())]
    assert found == [message]


# The split


@pytest.mark.parametrize("count", range(1, 60))
def test_shares_add_up_and_leave_no_part_empty(count):
    for ratios in ((70, 10, 20), (85, 15), (1, 1, 98), (98, 1, 1)):
        found = shares(count, ratios)
        assert sum(found) == count
        assert all(found) or count < len(ratios)


def test_a_stratified_split_depends_on_the_seed_alone_and_keeps_groups_together():
    groups, strata = [f"p{n // 3}" for n in range(60)], ["ab"[n % 2] for n in range(60)]
    first = stratified_split(groups, strata, (70, 10, 20))
    assert first == stratified_split(groups, strata, (70, 10, 20))
    assert first != stratified_split(groups, strata, (70, 10, 20), seed=1)
    assert all(len(set(first[start : start + 3])) == 1 for start in range(0, 60, 3))
