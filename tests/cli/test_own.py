"""``build`` of people's own data: a card and a folder become a dataset that every other verb takes."""

import csv
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

import medimeta as mm

CARD = "id: my_cells\nrecipe: folder\nname: Meine Zellen & mehr\ntask: cell type\n"
TINY = ["--backbone", "test_resnet.r160_in1k", "--no-pretrained", "--max-epochs", "1"]
CLASSES = ("Bäsophil & co", "eosinophil", "lymph node")


@pytest.fixture
def cells(tmp_path):
    """A folder of 3 classes with 10 images each, and a card."""
    rng = np.random.default_rng(0)
    for number, name in enumerate(CLASSES):
        (tmp_path / "cells" / name).mkdir(parents=True)
        for index in range(10):
            pixels = np.clip(rng.normal(60 + 60 * number, 10, (20, 30, 3)), 0, 255).astype(np.uint8)
            mode = "L" if index == 0 else "RGB"
            Image.fromarray(pixels).convert(mode).save(tmp_path / "cells" / name / f"é {index}.png")
    (tmp_path / "my.yaml").write_text(CARD, encoding="utf-8")
    return tmp_path / "cells"


@pytest.fixture
def build(command, tmp_path):
    def call(source, *arguments, card="my.yaml", root="root"):
        return command(
            "build",
            tmp_path / card,
            "--source",
            source,
            "--root",
            tmp_path / root,
            "--size",
            32,
            "--workers",
            1,
            *arguments,
        )

    return call


def fingerprint(done):
    [report] = json.loads(done.out)
    return report["fingerprint"]


def test_a_folder_is_built_loaded_verified_and_trained_like_any_other(command, build, cells, tmp_path):
    done = build(cells)
    assert done.code == 0, done.err
    assert "my_cells: 30 images of 32x32 (21 train, 3 val, 6 test)" in done.out
    assert "3 from L" in done.out
    assert "part of the original" not in done.out
    root = tmp_path / "root"
    data = mm.load("my_cells/cell type", root=root, split="train")
    assert (len(data), data.task.classes, data.channels) == (21, CLASSES, 3)
    assert {count.positive for count in data.class_counts().values()} == {7}
    image, label = mm.load("My-Cells/Cell_Type", root=root)[15]
    assert (tuple(image.shape), label) == ((3, 32, 32), 1)
    done = command("verify", "my_cells", "--deep", "--root", root)
    assert (done.code, done.err) == (0, "")
    assert "my_cells: whole, 30 samples, every file hashed" in done.out
    for form in ((), ("--json",), ("--bibtex",)):
        done = command("show", "My-Cells", "--root", root, *form)
        assert (done.code, done.err) == (0, "")
        assert ("my_cells" in done.out) != (form == ("--bibtex",))
    assert CLASSES[0] in command("show", "my_cells/cell type", "--root", root).out
    assert command("show", "my_cells", "--root", tmp_path).code == 2
    done = command("train", "my_cells/cell type", "--root", root, "--out", tmp_path / "runs", *TINY)
    assert done.code == 0, done.err
    assert "my_cells/cell type" in done.out


def test_a_table_is_built_with_all_kinds_of_tasks_and_its_other_columns(build, tmp_path, cells):
    names = [f"{name}/é {index}.png" for name in CLASSES for index in range(10)]
    with (cells / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "kind", "grade", "tags", "a", "b", "who", "part", "split", "Größe"])
        for n, name in enumerate(names):
            part = ("train", "train", "dev", "test", "train")[n // 2 % 5]
            writer.writerow(
                [name, n % 3, n % 4, "x;y" if n % 2 else "", n % 2, n // 2 % 2, f"P{n // 2}", part, "s", f"{n} µm"]
            )
    (tmp_path / "my.yaml").write_text(
        "id: my_table\nrecipe: table\ntable: labels.csv\nimage: file\ngroup: who\nsplit: part\nchannels: 1\ntasks:\n"
        "  kind & so on: kind\n  grade: {column: grade, target: ordinal}\n  tags: {column: tags, separator: ;}\n"
        "  signs: {columns: [a, b]}\n",
        encoding="utf-8",
    )
    done = build(cells)
    assert done.code == 0, done.err
    root = tmp_path / "root"
    data = mm.load("my_table", root=root)
    assert [task.target.word for task in data.tasks] == ["multi-class", "ordinal", "multi-label", "multi-label"]
    assert data[5][1]["kind & so on"] == 2
    assert data[5][1]["tags"].tolist() == [1, 1]
    assert len(mm.load("my_table", root=root, split="val")) == 6
    [row] = [row for row in data.stored.annotations() if row["filepath"] == "images/000005.tiff"]
    assert (row["who"], row["source_split"], row["split"], row["Größe"]) == ("P2", "s", "val", "5 µm")
    assert mm.verify("my_table", root=root, deep=True).ok


def test_the_bytes_depend_on_neither_workers_nor_packing(build, cells, tmp_path):
    expected = fingerprint(build(cells, "--json"))
    assert fingerprint(build(cells, "--json", "--workers", 2, root="two")) == expected
    with zipfile.ZipFile(tmp_path / "cells.zip", "w") as file:
        for path in sorted(cells.rglob("*.png")):
            file.write(path, path.relative_to(tmp_path))
    assert fingerprint(build(tmp_path / "cells.zip", "--json", root="zip")) == expected


def test_a_dry_run_says_what_would_be_built(build, cells, tmp_path):
    done = build(cells, "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert "my_cells" in done.out
    assert not (tmp_path / "root" / "my_cells").exists()


def test_a_dataset_that_is_there_is_replaced_on_request_only(build, cells):
    assert build(cells).code == 0
    done = build(cells)
    assert done.code == 2
    assert "my_cells: is already there. Pass --overwrite" in done.err
    assert build(cells, "--overwrite").code == 0


def test_what_would_be_left_out_is_refused_unless_it_is_allowed(build, cells, tmp_path):
    Image.new("RGB", (4, 4)).save(cells / "loose.png")
    done = build(cells)
    assert (done.code, done.out) == (1, "")
    assert "loose.png: lies in no class folder" in done.err
    assert not (tmp_path / "root" / "my_cells").exists()
    assert build(cells, "--allow-partial").code == 0
    assert len(mm.load_arrays("my_cells/cell type", root=tmp_path / "root").labels) == 30


def test_an_image_that_does_not_decode_is_told_and_nothing_is_published(build, cells, tmp_path):
    (cells / "eosinophil" / "é 3.png").write_bytes(b"\x89PNG no more")
    done = build(cells)
    assert (done.code, done.out) == (1, "")
    assert "eosinophil/é 3.png" in done.err
    assert not (tmp_path / "root" / "my_cells").exists()


@pytest.mark.parametrize(
    ("card", "code", "message"),
    [
        (CARD.replace("my_cells", "bus"), 1, "id: 'bus' is a dataset of MedIMeta; choose another"),
        (CARD + "labels: [a, b, c]\n", 1, "'eosinophil' is not under labels"),
        (CARD + "colour: grey\n", 1, "colour: there is no such field"),
        (CARD.replace("recipe: folder", "recipe: table"), 1, "table: Field required"),
    ],
)
def test_a_bad_card_is_told(build, cells, tmp_path, card, code, message):
    (tmp_path / "my.yaml").write_text(card, encoding="utf-8")
    done = build(cells)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert not list((tmp_path / "root").glob("[!.]*"))


def test_a_card_that_is_not_there_is_told(build, cells):
    done = build(cells, card="nope.yaml")
    assert done.code == 1
    assert "nope.yaml: cannot be read (No such file or directory)" in done.err


def test_a_guessed_card_builds(command, build, cells, tmp_path):
    assert command("new", cells, "--out", tmp_path / "guess.yaml").code == 0
    assert build(cells, card="guess.yaml").code == 0
    assert mm.load("cells/class", root=tmp_path / "root").task.classes == CLASSES
