"""The report is whole, says the same for the same records, and holds nothing from elsewhere."""

import csv
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from tests.benchmark.made import make_record, write_few_shot, write_run

import medimeta as mm
from medimeta.benchmark.record import read_record
from medimeta.benchmark.report import write_report
from medimeta.errors import MedimetaError, ResultsNotFoundError, RootNotWritableError, UsageError

NAMES = ["table.md", "table.csv", "table.tex", "report.html"]
FAILED = {"cell": "bus, seed 9", "error": "it diverged"}
VOID = {"meta", "link", "br"}


class Page(HTMLParser):
    """Reads a page; every element must be closed where it was opened."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.text = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text.append(data)

    def all(self, tag, style=None):
        return [found for name, found in self.tags if name == tag and style in (None, *found.get("class", "").split())]


def html(out):
    return write_report(out, ["html"])[0].read_text(encoding="utf-8")


@pytest.fixture
def out(results_folder, tmp_path):
    """A copy of the results, to be changed."""
    return shutil.copytree(results_folder, tmp_path / "out")


def test_everything_is_written(out):
    written = write_report(out)
    assert written == tuple(out / name for name in NAMES)
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    assert len(rows) == 5 + 6
    assert (out / "table.md").read_text().count("\n## ") == 2  # after the first: summary and few-shot
    assert (out / "table.tex").read_text().count(r"\toprule") == 3


@pytest.mark.parametrize("name", ["md", "csv", "tex", "html"])
def test_one_format_alone(out, name):
    (path,) = write_report(out, [name])
    assert [each.name for each in out.iterdir() if each.is_file()] == [path.name]


@pytest.mark.parametrize("formats", [["pdf"], []])
def test_a_format_that_is_not_known_is_told(out, formats):
    with pytest.raises(UsageError, match="some of md, csv, tex, html"):
        write_report(out, formats)


def test_the_same_records_give_the_same_bytes(out, tmp_path):
    """Wherever they lie, whichever was written first, and whatever Python hashes strings to."""
    first = [path.read_bytes() for path in write_report(out)]
    other = tmp_path / "elsewhere" / "results"
    for path in sorted(out.rglob("*.*"), reverse=True):
        if path.parent != out:
            (other / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, other / path.parent.name / path.name)
    code = "import sys, pathlib; from medimeta.benchmark.report import write_report as w; w(pathlib.Path(sys.argv[1]))"
    hashing = {"PYTHONHASHSEED": "7", "PYTHONPATH": ":".join(sys.path)}
    subprocess.run([sys.executable, "-c", code, other], check=True, env=hashing)
    assert [(other / name).read_bytes() for name in NAMES] == first


def test_nothing_comes_from_elsewhere_and_nothing_runs(out):
    text = html(out)
    page = Page(text)
    assert page.all("script") == []
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    addresses = [found[name] for _, found in page.tags for name in ("src", "href", "xlink:href") if name in found]
    assert all(address.startswith(("#", "data:,")) for address in addresses)
    assert not re.search(r"https?:|@import|url\(", text)
    assert "default-src 'none'" in text


def test_every_link_has_its_place(out):
    page = Page(html(out))
    places = [found["id"] for _, found in page.tags if "id" in found]
    assert len(places) == len(set(places))
    assert {found["href"][1:] for found in page.all("a")} <= set(places)


def test_every_task_and_model_has_its_plots(out):
    text = html(out)
    page = Page(text)
    assert len(page.all("details", "task")) == 4
    titles = re.findall(r"<h5>(.*?)</h5>", text)
    for title in ("ROC curves", "AUROC by class", "Reliability", "Learning curves"):
        assert titles.count(title) == 5  # models
    assert titles.count("AUROC over shots") == 1
    assert len(page.all("figcaption")) == len(page.all("figure")) == 21
    assert all(found.get("aria-label") or found.get("aria-hidden") for found in page.all("svg"))


def test_the_overview_says_what_ran(out):
    text = html(out)
    for told in (
        "medimeta 0.1.0",
        "python 3.11.2",
        "a CPU",
        "d" * 16,
        "is left out of the mean",
        "learning_rate",
        "part",
    ):
        assert told in text


def test_sections_are_closed_where_there_are_many(out, tmp_path):
    assert not [found for found in Page(html(out)).all("details", "task") if "open" in found]
    write_run(tmp_path / "one", "bus/malignancy")
    assert [found for found in Page(html(tmp_path / "one")).all("details", "task") if "open" in found]


def test_names_are_text_and_no_markup(tmp_path):
    hostile = '"><script>alert(1)</script>&'
    path = write_run(tmp_path, "bus/case category", weights=f"sha256:{hostile}", weights_name=hostile, device=hostile)
    raw = json.loads(path.read_text())
    raw["test"]["per_class"] = {f"{name}{hostile}": each for name, each in raw["test"]["per_class"].items()}
    raw["task"] = f"own/{hostile}"
    path.write_text(json.dumps(raw))
    page = Page(html(tmp_path))
    assert page.all("script") == []
    assert sum(hostile in part for part in page.text) > 5


def test_own_tasks_have_their_plots(tmp_path):
    path = write_run(tmp_path, "dr_regular/Clarity")
    raw = json.loads(path.read_text()) | {"task": "my_eyes/clarity"}
    path.write_text(json.dumps(raw))
    text = html(tmp_path)
    assert "my_eyes" in text
    assert len(Page(text).all("figure")) == 4


def test_damage_is_named_and_the_rest_is_shown(out):
    records = sorted(out.glob("bus__malignancy/*.json"))
    records[0].write_text("{")
    records[1].with_suffix(".npz").unlink()
    (out / "bus__malignancy" / "gone.failed.json").write_text(
        json.dumps({"cell": "bus, seed 9", "error": "it diverged"})
    )
    text = html(out)
    assert f"bus__malignancy/{records[0].name}: is damaged" in text
    assert f"bus__malignancy/{records[1].stem}.npz: is missing" in text
    assert "bus, seed 9" in text
    assert "it diverged" in text
    titles = re.findall(r"<h5>(.*?)</h5>", text)
    assert titles.count("ROC curves") == 4
    assert titles.count("AUROC by class") == 5


def test_failures_alone_are_a_report(tmp_path):
    (tmp_path / "bus").mkdir()
    (tmp_path / "bus" / "x.failed.json").write_text(json.dumps(FAILED))
    write_report(tmp_path)
    Page((tmp_path / "report.html").read_text())
    assert "it diverged" in (tmp_path / "report.html").read_text()


def test_a_record_of_what_is_not_defined_is_shown(tmp_path):
    path = write_run(tmp_path, "bus/malignancy", count=60)
    raw = json.loads(path.read_text())
    raw["test"] |= {"auroc": None, "auroc_interval": None}
    for each in raw["test"]["per_class"].values():
        each |= {"auroc": None, "auroc_interval": None}
    raw["training"]["history"] = [{"train_loss": None, "val_loss": None, "val_auroc": None}]
    path.write_text(json.dumps(raw))
    Page(html(tmp_path))


def test_few_shot_alone_is_a_report(tmp_path):
    write_few_shot(tmp_path, shots=1)
    assert len(Page(html(tmp_path)).all("figure")) == 1


def test_the_paper_at_a_glance_stays_small(tmp_path):
    """A run of 14 labels takes less than 40 kB, so that 19 datasets, 2 backbones and 3 seeds are 4.6 MB at most."""
    write_run(tmp_path, "cxr/disease labels", count=4000)
    one = len(html(tmp_path))
    write_run(tmp_path, "cxr/disease labels", count=4000, seed=1)
    assert len(html(tmp_path)) - one < 40_000


def test_what_cannot_be_written_is_told(out):
    (out / "report.html").mkdir()
    with pytest.raises(RootNotWritableError, match=r"report\.html: cannot be written"):
        write_report(out)


def test_an_empty_folder_is_told(tmp_path):
    with pytest.raises(ResultsNotFoundError, match="there is no record here"):
        write_report(tmp_path)
    assert issubclass(ResultsNotFoundError, MedimetaError)


def test_records_of_this_version_are_read(out):
    assert all(read_record(path) is not None for path in out.glob("*/*.json"))
    assert mm.task("bus").id == make_record().task
