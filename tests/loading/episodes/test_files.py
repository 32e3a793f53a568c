"""Episodes in files: what is saved comes back, and what is damaged or of other data is refused, with its place."""

import json
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import medimeta as mm
from medimeta.errors import (
    EpisodeFileError,
    EpisodeFileNotFoundError,
    MedimetaError,
    MissingDependencyError,
    UsageError,
)
from medimeta.loading import episode_codecs

LABELS = np.tile([0, 1, 2], 20)
MANY = np.stack([LABELS == 1, LABELS > 0], axis=1).astype(int)


@pytest.fixture
def dataset(fake):
    """A selection: places are not samples."""
    return fake(LABELS, np.arange(60) // 2, indices=np.arange(60) * 2 + 1, stored=130)


@pytest.fixture
def path(dataset, tmp_path):
    path = tmp_path / "episodes.json"
    mm.Episodes(dataset, 2, 3, ways=2, length=4, seed=3).save(path)
    return path


@pytest.fixture
def change(path):
    """Change the document in the file, and return its path."""

    def change(work):
        document = json.loads(path.read_text())
        changed = work(document)
        path.write_text(json.dumps(document if changed is None else changed))
        return path

    return change


def assert_same(loaded, episodes):
    assert len(loaded) == len(episodes)
    for left, right in zip(loaded, episodes, strict=True):
        assert left.classes == right.classes
        assert np.array_equal(left.support, right.support)
        assert np.array_equal(left.query, right.query)
        assert left.support.dtype == np.int64


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@pytest.mark.parametrize("labels", [LABELS, MANY])
def test_what_is_saved_comes_back(fake, tmp_path, suffix, labels):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    dataset = fake(labels, np.arange(60) // 2, indices=np.arange(60)[::-1], stored=130)
    episodes = mm.Episodes(dataset, (1, 2), 3, length=5)
    file = tmp_path / "new folder" / f"episodes{suffix}"
    episodes.save(str(file))
    episodes.save(file)  # a file that is there is replaced
    loaded = mm.load_episodes(str(file), dataset)
    assert_same(loaded, episodes)
    assert loaded.settings == episodes.settings
    assert_same(loaded[1:3], episodes[1:3])
    assert loaded[-1].support_labels().tolist() == episodes[4].support_labels().tolist()
    loaded.save(tmp_path / f"again{suffix}")
    assert (tmp_path / f"again{suffix}").read_bytes() == file.read_bytes()
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_the_file_holds_the_numbers_of_the_stored_samples(dataset, path):
    document = json.loads(path.read_text())
    episode = mm.Episodes(dataset, 2, 3, ways=2, length=4, seed=3)[1]
    assert document["episodes"][1]["support"] == dataset.indices[episode.support].tolist()
    assert len(path.read_text().splitlines()) > 4


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda fake: fake(np.roll(LABELS, 1), indices=np.arange(60) * 2 + 1, stored=130), "other labels of the task"),
        (lambda fake: fake(LABELS, keys=range(4), indices=np.arange(60) * 2 + 1, stored=130), "other labels"),
        (lambda fake: fake(LABELS, indices=np.arange(60), stored=130), "another selection of samples"),
        (lambda fake: fake(LABELS[:30], indices=np.arange(30) * 2 + 1, stored=130), "other labels.*another selection"),
        (lambda fake: fake(LABELS, indices=np.arange(60) * 2 + 1, stored=131), "other images"),
        (lambda fake: fake(LABELS, name="grade"), "of the task 'fake/findings', but the dataset is of 'fake/grade'"),
    ],
)
def test_a_changed_dataset_is_refused(fake, path, other, words):
    with pytest.raises(EpisodeFileError, match=words):
        mm.load_episodes(path, other(fake))


def test_subjects_that_became_known_are_not_shared(fake, dataset, path):
    dataset.codes = np.zeros(60, np.int64)
    with pytest.raises(EpisodeFileError, match=r"episodes\[0\]: a subject is in the support and in the query set"):
        mm.load_episodes(path, dataset)
    mm.Episodes(dataset, 2, 3, disjoint_subjects=False).save(path)
    assert len(mm.load_episodes(path, dataset)) == 100


def put(*keys):
    """Return a change that puts a value at a place in the document."""
    *way, last, value = keys

    def work(document):
        for key in way:
            document = document[key]
        document[last] = value

    return work


def both(document):
    document["episodes"][1]["query"][0] = document["episodes"][1]["support"][0]


@pytest.mark.parametrize(
    ("work", "words"),
    [
        (lambda document: [], "holds no episodes, but a list"),
        (put("format", "other"), "is no file of episodes"),
        (put("version", 2), "has version 2, this version of medimeta reads 1. Upgrade medimeta."),
        (put("version", 0), "has version 0, this version of medimeta reads 1.$"),
        (put("version", True), "has version True"),
        (put("task", None), "task: expected text, got nothing"),
        (put("task", ["x"] * 999), "task: expected text, got "),
        (put("fingerprint", "abc"), "fingerprint: expected an object, got 'abc'"),
        (put("fingerprint", {}), "fingerprint.labels: expected text, got nothing\n.*samples.*\n.*images"),
        (put("settings", 3), "settings: expected an object, got 3"),
        (put("episodes", {}), "episodes: expected a list of episodes"),
        (put("episodes", []), "episodes: expected 1 to 1,000,000, got 0"),
        (put("episodes", 2, 7), r"episodes\[2\]: expected an object of classes, support, query, got 7"),
        (
            put("episodes", 2, "more", 7),
            r"episodes\[2\]: expected an object of classes, support, query, got \['classes'",
        ),
        (put("episodes", 0, "classes", []), r"episodes\[0\].classes: expected a list of names, got \[\]"),
        (put("episodes", 0, "classes", 1, 1), r"episodes\[0\].classes: expected a list of names"),
        (put("episodes", 0, "classes", 1, "c7"), r"episodes\[0\].classes: fake/findings has no label 'c7'"),
        (put("episodes", 0, "classes", ["c1", "c1"]), r"episodes\[0\].classes: names a label twice"),
        (put("episodes", 0, "classes", ["c0"]), r"episodes\[0\].support\[\d\]: sample \d+ is of none of the episode's"),
        (put("episodes", 3, "query", []), r"episodes\[3\].query: expected a list of samples, got \[\]"),
        (put("episodes", 3, "query", {"a": 1}), r"episodes\[3\].query: expected a list of samples, got \['a'\]"),
        (put("episodes", 3, "query", 1, 2.0), r"episodes\[3\].query\[1\]: expected a whole number, got 2.0"),
        (put("episodes", 3, "query", 1, True), r"episodes\[3\].query\[1\]: expected a whole number, got True"),
        (put("episodes", 3, "query", 1, "5"), r"episodes\[3\].query\[1\]: expected a whole number, got '5'"),
        (put("episodes", 3, "query", 1, -1), r"episodes\[3\].query\[1\]: sample -1 is out of range; there are 130"),
        (put("episodes", 3, "query", 1, 130), r"episodes\[3\].query\[1\]: sample 130 is out of range; there are 130"),
        (put("episodes", 3, "query", 1, 10**4_000), r"sample a number of hundreds of digits is out of range"),
        (put("episodes", 3, "query", 1, 2), r"episodes\[3\].query\[1\]: sample 2 is not among those of the dataset"),
        (put("episodes", 3, "query", [5, 5]), r"episodes\[3\].query: names a sample twice"),
        (both, r"episodes\[1\]: sample \d+ is in the support and in the query set"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(dataset, change, work, words):
    path = change(work)
    with pytest.raises(EpisodeFileError, match=words) as caught:
        mm.load_episodes(path, dataset)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value)) < 500


def test_all_problems_are_told_at_once(dataset, change):
    def work(document):
        for row in document["episodes"]:
            row["support"][0] = 999

    with pytest.raises(EpisodeFileError) as caught:
        mm.load_episodes(change(work), dataset)
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "line 1, column 1: is not JSON, or was cut off"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is nested too deeply"),
        (b'{"version": ' + b"9" * 5_000 + b"}", "is not JSON"),
        (b'{"format": NaN}', "is no file of episodes"),
    ],
)
def test_a_file_that_is_no_json_is_refused(dataset, tmp_path, content, words):
    path = tmp_path / "episodes.json"
    path.write_bytes(content)
    with pytest.raises(EpisodeFileError, match=words):
        mm.load_episodes(path, dataset)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_refused_or_means_the_same(dataset, path, data):
    whole = path.read_bytes()
    damaged = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(whole)), st.integers(0, 255)), max_size=3)):
        damaged[place : place + 1] = bytes([value])
    path.write_bytes(bytes(damaged))
    try:
        loaded = mm.load_episodes(path, dataset)
    except EpisodeFileError as error:
        assert str(path) in str(error)  # noqa: PT017
    else:
        for episode in loaded:
            assert not set(episode.support.tolist()) & set(episode.query.tolist())
    finally:
        path.write_bytes(whole)


def test_sizes_are_bounded(dataset, path, monkeypatch):
    with pytest.raises(UsageError, match="1,000,001 episodes are too many for a file; 1,000,000 can be saved"):
        mm.Episodes(dataset, length=1_000_001).save(path)
    monkeypatch.setattr(episode_codecs, "MOST_BYTES", 200)
    with pytest.raises(EpisodeFileError, match="bytes, more than the 200 allowed"):
        mm.load_episodes(path, dataset)
    with pytest.raises(UsageError, match="bytes of episodes are too many for a file"):
        mm.Episodes(dataset, 2, 3).save(path)


def test_places_that_cannot_be_used(dataset, tmp_path, monkeypatch):
    episodes = mm.Episodes(dataset, 2, 3, length=2)
    with pytest.raises(UsageError, match=r"kept in files named \*.json or \*.parquet"):
        episodes.save(tmp_path / "episodes.pkl")
    with pytest.raises(UsageError, match=r"kept in files named"):
        mm.load_episodes(tmp_path / "episodes", dataset)
    with pytest.raises(EpisodeFileNotFoundError, match=r"missing.json: is not there") as caught:
        mm.load_episodes(tmp_path / "missing.json", dataset)
    assert isinstance(caught.value, FileNotFoundError | MedimetaError)
    folder = tmp_path / "folder.json"
    folder.mkdir()
    with pytest.raises(EpisodeFileError, match=r"folder.json: does not read"):
        mm.load_episodes(folder, dataset)
    with pytest.raises(EpisodeFileError, match=r"folder.json: cannot be written"):
        episodes.save(folder)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder.json"]
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingDependencyError, match=r"needs pyarrow, .* pip install 'medimeta\[parquet\]'"):
        episodes.save(tmp_path / "episodes.parquet")
    with pytest.raises(MissingDependencyError, match=r"needs pyarrow"):
        mm.load_episodes(tmp_path / "episodes.parquet", dataset)


def test_a_dataset_of_all_tasks_is_refused(dataset, path):
    dataset.task = None
    with pytest.raises(UsageError, match="episodes are of one task"):
        mm.load_episodes(path, dataset)


class TestParquet:
    @pytest.fixture
    def file(self, dataset, tmp_path):
        pytest.importorskip("pyarrow")
        file = tmp_path / "episodes.parquet"
        mm.Episodes(dataset, 2, 3, ways=2, length=4).save(file)
        return file

    @pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
    def test_a_cut_file_is_refused(self, dataset, file, share):
        whole = file.read_bytes()
        file.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(EpisodeFileError, match="is not Parquet, or was cut off"):
            mm.load_episodes(file, dataset)

    @pytest.mark.parametrize("seed", range(30))
    def test_a_damaged_file_is_refused_or_means_the_same(self, dataset, file, seed):
        rng = np.random.default_rng(seed)
        data = bytearray(file.read_bytes())
        for place in rng.integers(0, len(data), 3):
            data[place] ^= int(rng.integers(1, 256))
        file.write_bytes(bytes(data))
        try:
            mm.load_episodes(file, dataset)
        except EpisodeFileError as error:
            assert str(file) in str(error)  # noqa: PT017

    def test_other_tables_are_refused(self, dataset, file):
        import pyarrow as pa
        from pyarrow import parquet

        table = parquet.read_table(file)
        cases = {
            "has no column support": table.drop_columns(["support"]),
            "metadata has no header under 'medimeta'": table.replace_schema_metadata({}),
            "is not Parquet": table.replace_schema_metadata({"medimeta": "{"}),
            "expected a list of samples": table.set_column(2, "query", pa.array([1, 2, 3, 4])),
            "expected a whole number, got 0.5": table.set_column(2, "query", pa.array([[0.5]] * 4)),
            "expected a list of names, got nothing": table.set_column(0, "classes", pa.array([None] * 4, pa.string())),
        }
        for words, changed in cases.items():
            parquet.write_table(changed, file)
            with pytest.raises(EpisodeFileError, match=words):
                mm.load_episodes(file, dataset)

    def test_what_is_packed_small_and_is_large_is_refused(self, dataset, file, monkeypatch):
        monkeypatch.setattr(episode_codecs, "MOST_EPISODES", 3)
        with pytest.raises(EpisodeFileError, match="4 rows of .* bytes, more than the 3 rows"):
            mm.load_episodes(file, dataset)
