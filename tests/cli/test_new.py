"""``new``: a first card for a folder of one's own images, which builds as it is or says what is missing."""

import json
import zipfile

import pytest
import yaml
from PIL import Image

from medimeta.catalogue.own_reading import read_own_card
from medimeta.recipes.own import open_own


def image(path, mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (4, 4), 80).save(path)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def folders(here):
    for name in ("tumour", "Normal"):
        for number in range(6):
            image(here / "Meine Zellen" / name / f"{number}.png", "RGB")
    return here / "Meine Zellen"


@pytest.fixture
def table(here):
    head = "image_id;PatientID;Geschlecht;sex;KL grade;diagnosis;a;b;c;tags;age;split;text;empty"
    lines = [
        f"im {n};P{n // 2};{n % 2};{'MF'[n % 2]};{n % 4}.0;{['malignant', 'benign'][n % 2]};{n % 2};{n // 2 % 2};"
        f"{n // 4 % 2};{['x|y', 'x', '', 'z'][n % 4]};{n / 7:.2f};{['train', 'Train', 'Val', 'test'][n // 2 % 4]};"
        f"free {n};{'' if n else 'q'}"
        for n in range(32)
    ]
    for n in range(32):
        image(here / "My data" / "img" / f"im {n}.png")
    (here / "My data" / "labels.csv").write_text("\n".join([head, *lines]), encoding="utf-8-sig")
    return here / "My data"


def test_class_folders_give_a_card_that_builds(command, here, folders):
    done = command("new", folders)
    assert (done.code, done.err) == (0, "")
    card = here / "meine_zellen.yaml"
    assert yaml.safe_load(card.read_text(encoding="utf-8")) == {
        "id": "meine_zellen",
        "name": "Meine Zellen",
        "recipe": "folder",
        "task": "class",
        "labels": ["Normal", "tumour"],  # the positive one is the second
    }
    assert open_own(card, folders)[0].samples.total == 12
    assert f"Next: medimeta build meine_zellen.yaml --source '{folders}'" in done.out
    assert "'tumour' is the positive label" in done.out
    assert "12 images" in done.out
    assert card.read_text(encoding="utf-8").splitlines() == [
        line.strip() for line in done.out.splitlines()[1 : 1 + len(card.read_text().splitlines())]
    ]


def test_a_table_gives_tasks_groups_and_splits_in_ten_lines(command, here, table):
    done = command("new", table, "--out", "my.yaml")
    assert (done.code, done.err) == (0, "")
    text = (here / "my.yaml").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 10
    assert yaml.safe_load(text) == {
        "id": "my_data",
        "name": "My data",
        "recipe": "table",
        "table": "labels.csv",
        "image": "image_id",
        "tasks": {
            "KL grade": {"column": "KL grade", "target": "ordinal"},
            "diagnosis": {"column": "diagnosis", "labels": ["benign", "malignant"]},
            "tags": {"column": "tags", "separator": "|"},
            "findings": {"columns": ["Geschlecht", "a", "b", "c"]},
        },
        "group": "PatientID",
        "split": "split",
        "channels": 1,
    }
    assert "kept as annotations: sex, age, text, empty" in done.out
    card = open_own("my.yaml", table)[0]
    assert {task.name: task.target.word for task in card.tasks} == {
        "KL grade": "ordinal",
        "diagnosis": "binary",
        "tags": "multi-label",
        "findings": "multi-label",
    }


def test_few_tasks_stand_on_lines_of_their_own(command, here, table):
    (table / "labels.csv").write_text("file,dx\n" + "".join(f"im {n}.png,{'abc'[n % 3]}\n" for n in range(32)))
    command("new", table)
    assert "tasks:\n  dx: dx\n" in (here / "my_data.yaml").read_text(encoding="utf-8")


def test_the_guess_is_told_to_machines_too(command, here, folders):
    raw = json.loads(command("new", folders, "--json").out)
    assert (raw["id"], raw["card"], raw["problem"]) == ("meine_zellen", "meine_zellen.yaml", None)
    assert raw["next"].startswith("medimeta build meine_zellen.yaml --source ")
    assert any("folders: 2 classes: Normal, tumour" in remark for remark in raw["found"])


def test_what_is_there_is_not_overwritten(command, here, folders):
    (here / "mine.yaml").write_text("mine")
    done = command("new", folders, "--out", "mine.yaml")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: mine.yaml: is already there. Remove it, or pass another --out.\n"
    assert (here / "mine.yaml").read_text() == "mine"


def test_folders_of_splits_and_masks_are_seen(command, here):
    for split in ("train", "val", "test"):
        for name in ("a", "b", "c"):
            for number in range(2):
                image(here / "d" / split / name / f"{number}.png")
                image(here / "d" / split / name / f"{number}_mask.png")
    done = command("new", "d")
    assert done.code == 0
    assert "split: folders of train, val, test" in done.out
    card = open_own("d.yaml", "d")[0]
    assert card.samples.model_dump() == {"total": 18, "train": 6, "val": 6, "test": 6}


def test_a_zip_is_looked_into(command, here, folders):
    with zipfile.ZipFile(here / "cells.zip", "w") as file:
        for path in sorted(folders.rglob("*.png")):
            file.write(path, path.relative_to(here))
    assert command("new", "cells.zip").code == 0
    assert read_own_card(here / "cells.yaml").id == "cells"


def test_an_id_of_the_catalogue_is_not_guessed(command, here, folders):
    folders.rename(here / "bus")
    assert command("new", "bus").code == 0
    assert read_own_card(here / "my_bus.yaml").id == "my_bus"


def test_a_table_without_labels_leaves_it_to_the_folders(command, here, folders):
    rows = [f"{name}/{number}.png,text {name} {number}" for name in ("tumour", "Normal") for number in range(6)]
    (folders / "notes.csv").write_text("\n".join(["file,remark", *rows]))
    done = command("new", folders)
    assert done.code == 0
    assert "no column looks like a label" in done.out
    assert read_own_card(here / "meine_zellen.yaml").recipe == "folder"


def test_what_does_not_build_yet_is_said(command, here, table):
    (table / "labels.csv").write_text("file,remark\n" + "".join(f"im {n}.png,free {n}\n" for n in range(32)))
    done = command("new", table)
    assert done.code == 1
    assert "It does not build yet" in done.out
    assert "its columns are file, remark" in done.out
    raw = json.loads(command("new", table, "--out", "other.yaml", "--json").out)
    assert "NAME THE COLUMN" in raw["problem"]


def test_what_a_build_would_leave_out_is_said(command, here, table):
    image(table / "img" / "more.png")
    with (table / "labels.csv").open("a") as file:
        file.write("\ngone;P1;0;M;1;benign;0;0;0;x;1.0;train;t;")
    done = command("new", table)
    assert done.code == 0
    assert "A build needs --allow-partial, as it would leave out 1 image: " in done.out
    assert "gone is missing" in done.out
    assert "img/more.png: no row of labels.csv names it" in done.out


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ([], "there is no such file or folder"),
        (["d/x.txt"], "d: has no PNG, JPEG or TIFF image."),
        (["d/x.dcm", "d/y/z.bmp"], "no PNG, JPEG or TIFF image; 2 of other formats, such as x.dcm, would have to be"),
        (["d/a/1.png", "d/a/2.png"], "holds only the folder a with images, and no table that names them"),
        (["d/1.png"], "holds no folder with images, and no table that names them. Expected a folder for each class"),
    ],
)
def test_folders_that_hold_nothing_to_learn_from_are_told(command, here, made, message):
    for name in made:
        if name.endswith(".png"):
            image(here / name)
        else:
            (here / name).parent.mkdir(parents=True, exist_ok=True)
            (here / name).write_bytes(b"x")
    done = command("new", "d")
    assert (done.code, done.out) == (1, "")
    assert message in done.err
    assert not list(here.glob("*.yaml"))
