"""Several datasets from one pass over one original, with units and a stream; pixels by shared memory and by value."""

import contextlib
import csv
import hashlib
import io
import json
import random
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import medimeta as mm
from medimeta.building import chunks, engine
from medimeta.building.slabs import Slabs, slab_view
from medimeta.errors import (
    DamagedSourceError,
    LabelError,
    SourceChangedError,
    SourceNotFoundError,
    TableError,
)
from medimeta.recipes.bus import Bus
from medimeta.recipes.recipe import Listing, Recipe, Rendered, Sample
from medimeta.recipes.splits import split_all
from medimeta.sources.find import Original, Part
from medimeta.sources.folder import FolderArchive
from medimeta.sources.tarballs import stream_tarball

LAW = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KINDS = ("plain", "unit", "streamed")


def pixels(seed, channels, size):
    """Return an image that depends on what it is made of, and only on that."""
    shape = (size, size) if channels == 1 else (size, size, channels)
    seed = int.from_bytes(hashlib.sha256(seed).digest()[:8])
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class Fake(Recipe):
    """``table.csv`` names images of bus and pbc: files, places in volumes, and files in a tarball."""

    name = "fake"
    original = Original("the fake", (Part(("fake.zip",), frozenset({"table.csv"})),))

    def listing(self, source, options):
        listing = Listing({"bus": [], "pbc": []})
        for number, row in enumerate(csv.DictReader(io.StringIO(source.read("table.csv").decode())), 2):
            member = row["member"]
            if row["kind"] != "streamed" and member not in source:
                listing.missing.append(f"table.csv, line {number}: {member} is missing")
                continue
            labels = {"cell class": row["label"]}
            if row["dataset"] == "bus":
                labels = {"case category": row["label"], "malignancy": "no malignant finding"}
            listing.samples[row["dataset"]].append(
                Sample(
                    member=member,
                    original_filepath=f"{row['dataset']}/{row['path']}",
                    labels=labels,
                    masks=("mask.bin",) if row["dataset"] == "bus" else (),
                    annotations={"kind": row["kind"]},
                    unit=member if row["kind"] == "unit" else "",
                    streamed=row["kind"] == "streamed",
                    details=(row["dataset"], int(row["place"])),
                )
            )
        return listing

    def splits(self, dataset, samples):
        return split_all(samples)

    def render(self, source, sample, options):
        return self._rendered(source, sample, source.read(sample.member), options)

    def render_all(self, source, samples, options):
        if not samples[0].unit:
            yield from super().render_all(source, samples, options)
            return
        assert {sample.unit for sample in samples} == {samples[0].unit}
        data = source.read(samples[0].member)
        for sample in samples:
            if not data:
                yield DamagedSourceError(f"{source.where(sample.member)}: is empty")
            else:
                yield self._rendered(source, sample, data, options)

    def _rendered(self, source, sample, data, options):
        dataset, place = sample.details
        masks, late = {}, {}
        if sample.masks:
            masks = {"": pixels(source.read(sample.masks[0]) + bytes([place]), 1, options.size) // 128 * 255}
            late = {"mask_path": "{mask}.tiff"}
        image = pixels(data + bytes([place]), 1 if dataset == "bus" else 3, options.size)
        return Rendered(image, (7, 9), masks=masks, annotations=late)

    def stream(self, source):
        return stream_tarball(source, "images.tar.gz")


@pytest.fixture
def fake(monkeypatch, change_card):
    """Let bus and pbc be made of one original, by a recipe of three kinds of samples."""
    module = ModuleType("medimeta.recipes.fake")
    module.RECIPE = Fake()
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for dataset in ("bus", "pbc"):
        change_card(dataset, recipe="fake")


@pytest.fixture
def table():
    """The rows of the fake original: every kind for each dataset; some images are wanted by both, or twice by one."""
    classes = {"bus": ("benign", "malignant", "normal"), "pbc": ("basophil", "eosinophil", "erythroblast", "monocyte")}
    rows = []
    for number in range(30):
        kind = KINDS[number % 3]
        member = {
            "plain": f"file{number % 12}.bin",
            "unit": f"volume{number % 4}.bin",
            "streamed": f"s{number % 9}.bin",
        }
        for dataset, names in classes.items():
            rows.append(
                {
                    "dataset": dataset,
                    "kind": kind,
                    "member": member[kind],
                    "path": f"{kind}/{number}.png",
                    "place": number,
                    "label": names[number % len(names)],
                }
            )
    return rows


@pytest.fixture
def original(tmp_path, fake, table):
    """Write the fake original, and return its folder."""
    top = tmp_path / "fake"
    top.mkdir()
    with tarfile.open(top / "images.tar.gz", "w:gz") as tar:
        for name in sorted({row["member"] for row in table if row["kind"] == "streamed"}, reverse=True):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    for row in table:
        if row["kind"] != "streamed":
            (top / row["member"]).write_bytes(row["member"].encode() * 3)
    (top / "mask.bin").write_bytes(b"mask")
    write_table(top, table)
    return top


def write_table(top, rows):
    with (top / "table.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def build_both(root):
    def build(source, place=root, datasets=("bus", "pbc"), **changes):
        return mm.build(datasets, source, place, **{"workers": 1, "size": 16, "allow_partial": True} | changes)

    return build


@pytest.fixture
def apart(original, build_both, tmp_path, contents):
    """The bytes of both datasets, each built by itself."""
    for dataset in ("bus", "pbc"):
        build_both(original, tmp_path / "apart", [dataset])
    return contents(tmp_path / "apart")


def test_datasets_of_one_original_are_built_in_one_pass_over_it(
    original, build_both, root, apart, contents, monkeypatch
):
    read, streamed = [], []
    real_read, real_stream = FolderArchive._read, Fake.stream
    monkeypatch.setattr(FolderArchive, "_read", lambda source, name: read.append(name) or real_read(source, name))
    monkeypatch.setattr(Fake, "stream", lambda recipe, source: streamed.append(1) or real_stream(recipe, source))
    reports = build_both(original)
    assert [(report.dataset, report.samples) for report in reports] == [("bus", 30), ("pbc", 30)]
    assert streamed == [1]
    assert [read.count(f"volume{number}.bin") for number in range(4)] == [1, 1, 1, 1]
    assert contents(root) == apart
    assert mm.verify("bus", root=root, deep=True).ok
    assert mm.verify("pbc", root=root, deep=True).ok


def test_every_sample_is_in_its_place(original, build_both, root, table):
    build_both(original)
    for dataset, channels in (("bus", 1), ("pbc", 3)):
        images = mm.load_arrays(dataset, root=root).images
        rows = [row for row in table if row["dataset"] == dataset]
        for image, row in zip(images, rows, strict=True):
            data = row["member"].encode() * (1 if row["kind"] == "streamed" else 3)
            assert np.array_equal(image, pixels(data + bytes([row["place"]]), channels, 16))


def test_the_digest_of_the_source_is_of_what_the_dataset_is_made_of_alone(original, build_both, root, table):
    build_both(original)
    for dataset in ("bus", "pbc"):
        [source] = json.loads((root / dataset / "manifest.json").read_text())["sources"]
        lines = {}
        for row in table:
            data = row["member"].encode() * (1 if row["kind"] == "streamed" else 3)
            if row["dataset"] == dataset:
                lines.setdefault(row["member"], (f"{dataset}/{row['path']}", hashlib.sha256(data).hexdigest()))
        expected = [*lines.values(), ("table.csv", hashlib.sha256((original / "table.csv").read_bytes()).hexdigest())]
        if dataset == "bus":
            expected.append(("mask.bin", hashlib.sha256(b"mask").hexdigest()))
        text = "".join(f"{name} {sha256}\n" for name, sha256 in sorted(expected))
        assert (source["members"], source["sha256"]) == (len(expected), hashlib.sha256(text.encode()).hexdigest())


@LAW
@given(
    seeds=st.lists(st.tuples(st.integers(0, 99), st.integers(1, 30), st.booleans()), min_size=1, max_size=4),
    length=st.integers(1, 7),
)
def test_order_chunks_and_breaks_do_not_show(
    original, build_both, apart, shuffle, contents, tmp_path_factory, monkeypatch, seeds, length
):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", length)
    root = tmp_path_factory.mktemp("law") / "root"
    for seed, at, slabs in seeds:
        shuffle(seed, slabs=slabs)
        stop = random.Random(seed).choice(["bus", "pbc"])

        def progress(dataset, done, total, stop=stop, at=at):
            if dataset == stop and done >= at:
                raise KeyboardInterrupt

        with contextlib.suppress(KeyboardInterrupt):
            build_both(original, root, progress=progress, overwrite=True)
    build_both(original, root, overwrite=True)
    assert contents(root) == apart


def test_progress_tells_of_each_dataset(original, build_both, monkeypatch):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 4)
    told = []
    build_both(original, progress=lambda *step: told.append(step))
    for dataset in ("bus", "pbc"):
        done = [step[1] for step in told if step[0] == dataset]
        assert (done[0], done[-1], done) == (0, 30, sorted(done))
    assert {step[2] for step in told} == {30}


def test_images_that_a_stream_does_not_hold_are_listed_at_once(original, build_both, root, table, finished):
    write_table(
        original,
        [row | {"member": f"nosuch{row['place']}.bin"} if row["place"] in (5, 8) else row for row in table],
    )
    with pytest.raises(SourceNotFoundError, match="lacks 4 of 60 images, so nothing was published") as caught:
        build_both(original)
    assert [problem.partition(":")[0] for problem in caught.value.problems] == [
        f"{dataset}/streamed/{number}.png" for number in (5, 8) for dataset in ("bus", "pbc")
    ]
    assert not (root / "bus").exists()
    assert len(finished("bus")) == len(finished("pbc")) == 28


def test_a_unit_that_does_not_read_is_a_problem_of_all_its_samples(original, build_both, root, table, finished):
    (original / "volume1.bin").write_bytes(b"")
    own = [row for row in table if row["member"] == "volume1.bin"]
    with pytest.raises(DamagedSourceError, match=f"{len(own)} of 60 samples of bus, pbc cannot be rendered") as caught:
        build_both(original)
    assert len(caught.value.problems) == len(own)
    assert len(finished("bus")) + len(finished("pbc")) == 60 - len(own)


def test_a_table_that_changes_between_its_reading_and_the_start_is_noticed(original, build_both, root, monkeypatch):
    real = Fake.listing

    def listing(recipe, source, options):
        found = real(recipe, source, options)
        table = original / "table.csv"
        table.write_text(table.read_text().replace("normal", "benign"))
        return found

    monkeypatch.setattr(Fake, "listing", listing)
    with pytest.raises(SourceChangedError):
        build_both(original)
    assert list(root.iterdir()) == []


# Problems, all at once


def test_all_rows_without_image_and_images_without_row_are_listed_at_once_and_the_rest_in_a_file(
    original, build_both, root, table, monkeypatch
):
    real = Fake.listing

    def listing(recipe, source, options):
        found = real(recipe, source, options)
        found.unnamed += [f"extra{number}.bin: has no row" for number in range(9)]
        return found

    monkeypatch.setattr(Fake, "listing", listing)
    gone = sorted({row["member"] for row in table if row["kind"] == "plain"})
    for name in gone:
        (original / name).unlink()
    rows = [number for number, row in enumerate(table, 2) if row["kind"] == "plain"]
    with pytest.raises(TableError, match="20 rows without their image, 9 images without a row") as caught:
        build_both(original, allow_partial=False)
    message = str(caught.value)
    file = root / "bus.problems.txt"
    assert message.count("  - ") == 20
    assert "... and 9 more" in message
    assert message.endswith(f"All 29 are listed in {file}.")
    assert file.read_text().splitlines() == list(caught.value.problems)
    assert [f"table.csv, line {number}:" in message for number in rows] == [True] * 20
    assert [path.name for path in root.iterdir()] == ["bus.problems.txt"]
    reports = build_both(original)
    assert reports[0].left_out == reports[1].left_out == caught.value.problems
    assert not file.exists()


def test_all_unknown_labels_are_listed_at_once_and_the_rest_in_a_file(original, build_both, root, table):
    rows = [row | {"label": "cyst"} if row["dataset"] == "bus" else row for row in table]
    write_table(original, rows)
    with pytest.raises(LabelError, match="30 labels of bus are not on its card") as caught:
        build_both(original)
    assert (root / "bus.problems.txt").read_text().splitlines() == list(caught.value.problems)
    assert all("unknown label 'cyst'; known: " in problem for problem in caught.value.problems)
    write_table(original, [row | {"label": "cyst"} if row == table[0] else row for row in table])
    with pytest.raises(LabelError, match="1 label of bus is not on its card"):
        build_both(original)
    assert list(root.iterdir()) == []  # a list that is no longer true goes


def test_problems_are_told_where_their_file_cannot_be_written(original, build_both, root, table, monkeypatch):
    write_table(original, [row | {"label": "cyst"} for row in table])

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(LabelError, match="30 labels of bus are not on its card") as caught:
        build_both(original)
    assert "listed in" not in str(caught.value)


# Shared memory


@pytest.mark.parametrize("size", [16, 300])
def test_pixels_by_shared_memory_and_by_value_are_the_same(
    build, bus_tree, pbc_tree, root, tmp_path, contents, monkeypatch, size
):
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 3)
    for dataset, tree in (("bus", bus_tree), ("pbc", pbc_tree)):
        build(dataset, tree, size=size)
    real, made = engine.open_workers, []

    class Counted(Slabs):
        def pixels(self, *place):
            made.append(place)
            return super().pixels(*place)

    monkeypatch.setattr(engine, "Slabs", Counted)
    for dataset, tree in (("bus", bus_tree), ("pbc", pbc_tree)):
        build(dataset, tree, size=size, workers=2, root=tmp_path / "slabs")
    assert len(made) == 12 + 16
    assert contents(tmp_path / "slabs") == contents(root)

    @contextlib.contextmanager
    def by_value(count, dask=None):
        with real(count, dask) as workers:
            yield replace(workers, share_memory=False)

    monkeypatch.setattr(engine, "open_workers", by_value)
    for dataset, tree in (("bus", bus_tree), ("pbc", pbc_tree)):
        build(dataset, tree, size=size, workers=2, root=tmp_path / "by value")
    assert len(made) == 12 + 16
    assert contents(tmp_path / "by value") == contents(root)


def test_a_worker_that_outlives_its_build_cannot_write_into_the_next_ones_memory(tmp_path):
    old = Slabs(tmp_path, 2, 3, 100)
    left = old.take()
    new = Slabs(tmp_path, 2, 3, 100)
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(FileNotFoundError):
        slab_view(left, 0, (10, 10))
    mine = new.take()
    slab_view(mine, 2, (10, 10))[...] = 7
    assert new.pixels(mine[1], 2, (10, 10)).min() == 7
    assert new.pixels(mine[1], 1, (10, 10)).max() == 0
    assert new.take() is not None
    assert new.take() is None
    new.give_back(mine[1])
    assert new.take() == mine
    new.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("slabs", [False, True], ids=["by value", "shared"])
@pytest.mark.parametrize(
    ("made", "message"),
    [
        (np.zeros((17, 17), np.uint8), r"the recipe bus made uint8 \(17, 17\) of benign/benign \(1\).png; expected"),
        (np.zeros((16, 15), np.uint8), r"uint8 \(16, 15\)"),
        (np.zeros((16, 16, 4), np.uint8), r"uint8 \(16, 16, 4\)"),
        (np.zeros((16, 16, 3), np.uint8), r"expected uint8 images of shape \(16, 16\)"),
        (np.zeros((16, 16), np.float32), r"float32 \(16, 16\)"),
        (np.zeros((16, 16), np.uint16), r"uint16 \(16, 16\)"),
        (np.zeros((16, 16), bool), r"bool \(16, 16\)"),
    ],
)
def test_a_recipe_that_makes_other_pixels_than_are_stored_is_an_error(
    build, bus_tree, root, shuffle, monkeypatch, slabs, made, message
):
    shuffle(0, slabs=slabs)
    monkeypatch.setattr(Bus, "render", lambda *_: Rendered(made, (16, 16)))
    with pytest.raises(ValueError, match=message):
        build("bus", bus_tree)
    assert list(root.iterdir()) == []


def test_a_recipe_that_loses_a_sample_is_an_error(build, bus_tree, root, monkeypatch):
    real = Bus.render_all

    def render_all(recipe, source, samples, options):
        return list(real(recipe, source, samples, options))[1:]

    monkeypatch.setattr(Bus, "render_all", render_all)
    with pytest.raises(ValueError, match="zip"):
        build("bus", bus_tree)
    assert list(root.iterdir()) == []
