"""``medimeta report``: everything again from records."""

import json
import subprocess
import sys

import pytest
from tests.benchmark.made import write_few_shot, write_run


@pytest.fixture
def out(tmp_path):
    """A folder with results."""
    write_run(tmp_path, "bus/case category")
    write_few_shot(tmp_path)
    return tmp_path


def test_tables_are_shown_and_files_written(command, out):
    done = command("report", out)
    assert done.code == 0
    assert all(told in done.out for told in ("Test AUROC", "Summary", "Few-shot", "bus/case category", "report.html"))
    assert all((out / name).is_file() for name in ("table.md", "table.csv", "table.tex", "report.html"))


def test_formats_and_json(command, out):
    done = command("report", out, "--format", "md,csv", "--json")
    assert json.loads(done.out) == {
        "files": [str(out / "table.md"), str(out / "table.csv")],
        "failed": [],
        "problems": [],
    }
    assert not (out / "report.html").exists()


def test_damage_is_told(command, out):
    (out / "bus__case_category" / "x.json").write_text("{")
    (out / "bus__case_category" / "y.failed.json").write_text('{"cell": "bus, seed 9", "error": "it diverged"}')
    done = command("report", out)
    assert done.code == 0
    assert "left out: bus__case_category/x.json: is damaged" in done.err
    assert "failed: bus, seed 9: it diverged" in done.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [(["nowhere"], 1, "there is no such folder"), ([".", "--format", "pdf"], 2, "got pdf")],
)
def test_wrong_use_is_told(command, tmp_path, monkeypatch, arguments, code, told):
    monkeypatch.chdir(tmp_path)
    done = command("report", *arguments)
    assert done.code == code
    assert told in done.err


def test_without_the_extra_the_tables_are_written_and_the_way_out_is_told(command, out, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    done = command("report", out)
    assert done.code == 2
    assert "pip install 'medimeta[report]'" in done.err
    assert [(out / name).is_file() for name in ("table.md", "table.csv", "table.tex", "report.html")] == [
        *(True, True, True, False),
    ]


def test_tables_need_no_torch(out):
    """Reading results on a laptop must not take the seconds that torch takes to load."""
    code = "import sys; from medimeta.cli.boundary import run; run(sys.argv[1:]); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code, "report", out], check=True, capture_output=True)
