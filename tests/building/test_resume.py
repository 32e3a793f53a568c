"""A build that is broken off, at whatever moment, goes on where it was, and ends with the bytes of an unbroken one."""

import io
import json
import os
import random
import runpy
import shutil
import tempfile
import time
from pathlib import Path

import h5py
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import medimeta as mm
from medimeta.building import chunks, sources
from medimeta.building.journal import Entry, Finished, Journal, checked, has_finished
from medimeta.errors import StoreError
from medimeta.recipes.bus import Bus
from medimeta.synthetic.originals import write_original

LAW = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def broken(build, bus_tree, interrupt, monkeypatch):
    """Build bus one sample a chunk, and break off after some of its twelve."""
    monkeypatch.setattr(chunks, "MOST_SAMPLES", 1)

    def broken(at=5, **changes):
        with pytest.raises(KeyboardInterrupt):
            build("bus", bus_tree, progress=interrupt(at), **changes)

    return broken


@pytest.fixture
def rendered(monkeypatch):
    """Return the list of all samples that bus renders from now on, by file name."""
    names, real = [], Bus.render

    def render(recipe, source, sample, options):
        names.append(sample.member.rpartition("/")[2])
        return real(recipe, source, sample, options)

    monkeypatch.setattr(Bus, "render", render)
    return names


# The journal


ENTRIES = [
    Entry(3, 17),
    Entry(0, 0, {"masks/000000.tiff": 5}, 1, True, "RGBA", {"a": "b\n", "\u2028": "é\r"}, ("odd", "odder")),
    Entry(1, 2**32 - 1),
]


@pytest.fixture
def written(tmp_path):
    """A journal of three chunks."""
    path = tmp_path / "journal.jsonl"
    journal = Journal(path, "plan")
    for entry in ENTRIES:
        journal.add([entry], {f"{entry.index}.png": "0" * 64})
    journal.close()
    return path


def reopened(path, plan="plan"):
    journal = Journal(path, plan)
    journal.close()
    return journal.finished


def test_a_journal_gives_back_what_was_put_in(written):
    assert reopened(written).entries == {entry.index: entry for entry in ENTRIES}
    assert reopened(written).members.keys() == {"3.png", "0.png", "1.png"}
    assert has_finished(written)


def test_a_journal_that_was_cut_off_anywhere_gives_back_its_whole_lines_and_goes_on(written):
    whole = written.read_bytes()
    for length in range(len(whole)):
        written.write_bytes(whole[:length])
        lines = whole[:length].count(b"\n")
        assert has_finished(written) == (lines > 1)
        journal = Journal(written, "plan")
        expected = {entry.index: entry for entry in ENTRIES[: max(0, lines - 1)]}
        assert journal.finished.entries == expected
        journal.add([ENTRIES[2]], {})
        journal.close()
        assert reopened(written).entries == expected | {1: ENTRIES[2]}


@pytest.mark.parametrize(
    "damage",
    [
        b"\x00\x00\x00\n",
        b"{\n",
        b"\xff\n",
        b"[1]\n",
        b"null\n",
        b"{}\n",
        b'{"samples":[{"index":9}],"members":{}}\n',
        b'{"samples":[{"index":9,"checksum":1,"colour":2}],"members":{}}\n',
        b'{"samples":[7],"members":{}}\n',
        b'{"samples":[],"members":7}\n',
    ],
)
def test_a_line_that_does_not_read_ends_the_journal_and_is_written_over(written, damage):
    lines = written.read_bytes().splitlines(keepends=True)
    written.write_bytes(b"".join([*lines[:2], damage, *lines[3:]]))
    journal = Journal(written, "plan")
    assert journal.finished.entries == {3: ENTRIES[0]}
    journal.add([ENTRIES[1]], {})
    journal.close()
    assert reopened(written).entries == {3: ENTRIES[0], 0: ENTRIES[1]}


@pytest.mark.parametrize("head", [None, b"", b"\n", b"{}\n", b'{"format":0,"plan":"plan"}\n', b"\x00\n"])
def test_a_journal_of_another_plan_or_format_counts_for_nothing(written, head):
    if head is not None:
        lines = written.read_bytes().splitlines(keepends=True)
        written.write_bytes(b"".join([head, *lines[1:]]))
    assert reopened(written, "plan" if head is not None else "other plan").entries == {}
    assert not has_finished(written)
    assert reopened(written, "plan").entries == {}


def test_a_sample_counts_only_if_its_pixels_and_files_are_as_they_were_written(tmp_path):
    (tmp_path / "whole.tiff").write_bytes(b"123456789")
    files = {"whole.tiff": 0xCBF43926}  # the check value that every description of this CRC has
    entries = [
        Entry(0, 0xCBF43926, files),
        Entry(1, 0xCBF43927, files),
        Entry(2, 0xCBF43926, {"whole.tiff": 0xCBF43927}),
        Entry(3, 0xCBF43926, {**files, "missing.tiff": 0}),
        Entry(4, 0xCBF43926),
    ]
    found = checked(Finished({entry.index: entry for entry in entries}), lambda index: b"123456789", tmp_path)
    assert list(found.entries) == [0, 4]


class AlmostFull(io.BytesIO):
    """A file that takes a few bytes a call, and then no more, as one on a full disk does."""

    left = 10**6

    def write(self, data):
        if not self.left:
            raise OSError(28, "No space left on device")
        taken = bytes(data)[: min(7, self.left)]
        self.left -= len(taken)
        return super().write(taken)


def test_a_line_that_the_disk_takes_in_pieces_is_whole_and_one_that_it_does_not_take_is_told(written):
    journal = Journal(written, "plan")
    journal.close()
    journal._file = AlmostFull()
    journal.add([ENTRIES[1]], {})
    assert json.loads(journal._file.getvalue())["samples"][0]["warnings"] == ["odd", "odder"]
    journal._file.left = 5
    with pytest.raises(StoreError, match=r"journal\.jsonl: cannot be written \(No space left on device\)"):
        journal.add([ENTRIES[1]], {})


# What counts as finished


def test_what_is_finished_is_not_rendered_again(build, bus_tree, broken, rendered, finished, root, tmp_path, contents):
    broken(5)
    assert len(rendered) >= 5
    done = finished("bus")
    assert len(done) == 5
    rendered.clear()
    assert build("bus", bus_tree, overwrite=True).resumed == 5
    assert len(rendered) == 7
    build("bus", bus_tree, root=tmp_path / "unbroken")
    assert contents(root) == contents(tmp_path / "unbroken")


def test_only_what_is_not_on_the_disk_as_it_was_written_is_rendered_again(
    build, bus_tree, broken, rendered, finished, root, tmp_path, contents
):
    broken(10)
    dataset = root / ".bus.partial" / "dataset"
    first, second, third, *_ = done = finished("bus")
    with h5py.File(dataset / "images.hdf5", "r+") as file:
        file["images"][first, 7, 7] ^= 1
    (dataset / "masks" / f"{second:06d}.tiff").unlink()
    mask = dataset / "masks" / f"{third:06d}.tiff"
    mask.write_bytes(mask.read_bytes()[:-1])
    rendered.clear()
    assert build("bus", bus_tree).resumed == 7
    names = [f"{folder} ({number}).png" for folder in ("benign", "malignant", "normal") for number in range(1, 5)]
    again = {first, second, third} | set(range(12)) - set(done)
    assert sorted(rendered) == sorted(names[index] for index in again)
    build("bus", bus_tree, root=tmp_path / "unbroken")
    assert contents(root) == contents(tmp_path / "unbroken")


@pytest.mark.parametrize(
    "change",
    [{"size": 24}, {"tiff": True}, {"release_errata": True}, "recipe", "package", "pillow", "touched", "other", "zip"],
    ids=str,
)
def test_other_settings_versions_or_sources_start_anew(
    build, bus_tree, zip_of, broken, monkeypatch, root, tmp_path, contents, change
):
    """Nothing of the old build may be left either: it has TIFF files, and, with two masks, one that errata lack."""
    shutil.copy(bus_tree / "benign" / "benign (2)_mask.png", bus_tree / "benign" / "benign (1)_mask_1.png")
    old = {} if change == {"tiff": True} else {"tiff": True}
    broken(8, **old)
    options, source = {}, bus_tree
    if isinstance(change, dict):
        options = change
    elif change == "recipe":
        monkeypatch.setattr(Bus, "version", 2)
    elif change == "package":
        monkeypatch.setattr(sources, "__version__", "99")
    elif change == "pillow":
        monkeypatch.setattr(sources, "version", lambda name: "99")
    elif change == "touched":
        os.utime(bus_tree / "normal" / "normal (4).png", (1, 1))
    elif change == "other":
        (bus_tree / "normal" / "normal (4).png").unlink()
        (bus_tree / "normal" / "normal (4)_mask.png").unlink()
    elif change == "zip":
        source = zip_of(bus_tree)
    if change not in ({"size": 24}, {"tiff": True}, {"release_errata": True}, "other"):
        options = old  # so that it is the change alone that counts
    assert build("bus", source, **options).resumed == 0
    build("bus", source, root=tmp_path / "unbroken", **options)
    assert contents(root) == contents(tmp_path / "unbroken")
    assert (root / "bus" / "images").exists() == options.get("tiff", False)


def test_other_workers_and_flags_that_do_not_count_go_on(build, bus_tree, broken, root):
    broken(5)
    assert build("bus", bus_tree.parent, workers=2, overwrite=True).resumed == 5
    assert mm.verify("bus", root=root, deep=True).ok


@pytest.mark.parametrize("damage", [None, b"", b"no HDF5", 100, 3000, -1])
def test_a_journal_without_its_images_counts_for_nothing(build, bus_tree, broken, root, tmp_path, contents, damage):
    """So it is left by a kill in the moment after publication."""
    broken(8)
    images = root / ".bus.partial" / "dataset" / "images.hdf5"
    if damage is None:
        shutil.rmtree(images.parent)
    else:
        images.write_bytes(damage if isinstance(damage, bytes) else images.read_bytes()[:damage])
    assert build("bus", bus_tree).resumed == 0
    build("bus", bus_tree, root=tmp_path / "unbroken")
    assert contents(root) == contents(tmp_path / "unbroken")


# The law


@pytest.fixture
def unbroken(build, bus_tree, contents, tmp_path):
    """Return the bytes of an unbroken build."""
    known = {}

    def unbroken(tiff):
        if tiff not in known:
            build("bus", bus_tree, root=tmp_path / f"unbroken{tiff}", tiff=tiff)
            known[tiff] = contents(tmp_path / f"unbroken{tiff}")
        return known[tiff]

    return unbroken


@LAW
@given(data=st.data(), tiff=st.booleans(), length=st.integers(1, 5))
def test_resumed_equals_unbroken(
    bus_tree, build, unbroken, contents, shuffle, interrupt, monkeypatch, data, tiff, length
):
    expected = unbroken(tiff)
    with tempfile.TemporaryDirectory() as name, monkeypatch.context() as patched:
        root, kept = Path(name) / "root", 0
        patched.setattr(chunks, "MOST_SAMPLES", length)
        for at in data.draw(st.lists(st.integers(1, 12), max_size=4), "breaks"):
            shuffle(data.draw(st.integers(0, 99), "order"), slabs=data.draw(st.booleans(), "slabs"))
            try:
                report = build("bus", bus_tree, root=root, tiff=tiff, progress=interrupt(max(at, kept + 1)))
            except KeyboardInterrupt:
                journal = root / ".bus.partial" / "journal.jsonl"
                cut = data.draw(st.sampled_from([0, 0, 1, 30]), "cut")  # a line that was on its way
                text = journal.read_bytes()
                journal.write_bytes(text[: len(text) - cut])
                lines = journal.read_bytes().splitlines(keepends=True)[1:]
                kept = sum(len(json.loads(line)["samples"]) for line in lines if line.endswith(b"\n"))
            else:
                assert report.resumed == kept
                shutil.rmtree(root)
                kept = 0
        assert build("bus", bus_tree, root=root, tiff=tiff).resumed == kept
        assert contents(root) == expected
        assert mm.verify("bus", root=root, deep=True).ok


# Kills


@pytest.fixture
def killed(start, until, journal_lines, root):
    """Start builds and kill them, each at a random moment; return how many processes the largest had."""

    def killed(count, seed, dataset, source, *flags, expected, **options):
        seeded, most, kills = random.Random(seed), 0, 0
        while kills < count:
            child = start(dataset, source, *flags, **options)
            before = journal_lines(dataset)
            wanted = before + seeded.randint(0, 4)

            def ended(child=child):
                return child.main.poll() is not None

            def there(before=before, wanted=wanted):
                return wanted == before or journal_lines(dataset) >= wanted

            until(lambda ended=ended, there=there: ended() or there())
            most = max(most, len(child.alive()))
            time.sleep(seeded.uniform(0, 0.05 if wanted > before else 1))
            if not ended():
                child.main.kill()
                child.main.wait()
                kills += 1
                until(lambda child=child: not child.alive(), 10)  # no worker outlives it
            if (root / dataset).exists():  # it was as good as finished: begin anew
                assert expected(root / dataset)
                shutil.rmtree(root)
        return most

    return killed


def test_twenty_kills_at_random_moments_change_nothing_and_leave_no_process(
    start, killed, build, root, tmp_path, contents
):
    [source] = write_original("bus", tmp_path, images_per_class=10)
    build("bus", source, root=tmp_path / "unbroken", tiff=True, size=224)
    unbroken = contents(tmp_path / "unbroken" / "bus")
    options = {"chunk": 1, "size": 224}
    most = killed(20, 7, "bus", source, "--tiff", expected=lambda folder: contents(folder) == unbroken, **options)
    assert most >= 4  # the build itself, two workers, and what starts them
    code, _, err = start("bus", source, "--tiff", **options).end()
    assert (code, "Traceback" in err) == (0, False), err
    assert contents(root) == contents(tmp_path / "unbroken")
    assert mm.verify("bus", root=root, deep=True).ok


@pytest.mark.parametrize("dataset", ["bus", "pbc"])
def test_real_originals_are_golden_after_kills(real_originals, real_built, start, killed, root, contents, dataset):
    golden = json.loads((real_originals / "golden" / f"{dataset}.json").read_text())
    digest = runpy.run_path(str(real_originals / "golden" / "digest.py"))["digest"]
    source = real_originals / dataset
    unbroken = contents(real_built(dataset))
    killed(3, 3, dataset, source, expected=lambda folder: contents(folder) == unbroken, chunk=16, size=224)
    code, _, err = start(dataset, source, chunk=16, size=224).end()
    assert code == 0, err
    assert digest(root / dataset) == golden
    assert contents(root / dataset) == unbroken
    assert [path.name for path in root.iterdir()] == [dataset]
