"""Tables say what was measured, beside what the paper says."""

import csv
import io

import pytest
from rich.console import Console

import medimeta as mm
from medimeta.benchmark.record import Record
from medimeta.benchmark.table import COLUMNS, NOTE, csv_table, make_rows, markdown_table, terminal_table, write_tables

PRIMARY, OTHER = mm.task("bus/case category"), mm.task("bus/malignancy")


def record(auroc, interval, *, seed=0, backbone="resnet18", weights="imagenet", partial=False, test_samples=1234):
    return Record(
        method="supervised",
        task="bus/any",
        backbone=backbone,
        weights=weights,
        weights_name=weights.partition(":")[0],
        seed=seed,
        config={},
        config_sha256="",
        data="",
        data_partial=partial,
        samples={"train": 3, "val": 2, "test": test_samples},
        package="medimeta",
        versions={},
        device="",
        seconds=1,
        images_per_second=1,
        test={"auroc": auroc, "auroc_interval": interval},
        predictions="any.npz",
    )


def cells(task, *records):
    """The one row of some records, by column."""
    (row,) = make_rows([task] * len(records), records)
    return dict(zip(COLUMNS, row.cells(), strict=True))


def test_a_row_is_in_percent_beside_the_papers_figure():
    assert cells(PRIMARY, record(0.9512, (0.9, 0.97551))) == {
        "task": "bus/case category",
        "backbone": "resnet18",
        "weights": "imagenet",
        "seeds": "1",
        "test": "1,234",
        "AUROC": "95.1",
        "95 % interval": "90.0 to 97.6",
        "paper": "96.0",
        "difference": "-0.9",
        "data": "whole",
    }


def test_a_difference_upwards_has_a_sign():
    assert cells(PRIMARY, record(0.98, (0.9, 1.0)))["difference"] == "+2.0"


@pytest.mark.parametrize(("task", "backbone"), [(OTHER, "resnet18"), (PRIMARY, "resnet34")])
def test_what_the_paper_does_not_report_is_a_dash(task, backbone):
    row = cells(task, record(0.98, (0.9, 1.0), backbone=backbone))
    assert (row["AUROC"], row["paper"], row["difference"]) == ("98.0", "–", "–")


def test_what_is_not_defined_is_a_dash():
    row = cells(PRIMARY, record(None, None))
    assert (row["AUROC"], row["95 % interval"], row["difference"], row["paper"]) == ("–", "–", "–", "96.0")


def test_seeds_are_averaged_and_the_interval_is_the_widest():
    row = cells(
        PRIMARY,
        record(0.90, (0.80, 0.95), seed=0),
        record(0.94, (0.85, 0.99), seed=1),
        record(0.92, (0.84, 0.96), seed=2),
    )
    assert (row["seeds"], row["AUROC"], row["95 % interval"]) == ("3", "92.0", "80.0 to 99.0")


def test_seeds_without_a_figure_do_not_count_in_the_mean():
    row = cells(PRIMARY, record(None, None), record(0.9, (0.8, 1.0), seed=1))
    assert (row["AUROC"], row["95 % interval"]) == ("90.0", "80.0 to 100.0")


def test_data_built_from_a_part_are_marked():
    assert cells(PRIMARY, record(0.9, (0.8, 1.0), partial=True))["data"] == "part"


def test_rows_come_by_task_backbone_and_weights_in_the_order_of_the_records():
    runs = [
        (OTHER, record(0.5, (0.4, 0.6))),
        (PRIMARY, record(0.6, (0.4, 0.6))),
        (OTHER, record(0.7, (0.6, 0.8), seed=1)),
        (OTHER, record(0.8, (0.6, 0.9), backbone="resnet50")),
        (OTHER, record(0.9, (0.6, 0.9), weights="none")),
        (OTHER, record(0.8, (0.6, 0.9), weights="sha256:aa")),
        (OTHER, record(0.7, (0.6, 0.9), weights="sha256:bb")),
    ]
    rows = make_rows([task for task, _ in runs], [each for _, each in runs])
    assert [(row.cells()[:4]) for row in rows] == [
        ("bus/malignancy", "resnet18", "imagenet", "2"),
        ("bus/case category", "resnet18", "imagenet", "1"),
        ("bus/malignancy", "resnet50", "imagenet", "1"),
        ("bus/malignancy", "resnet18", "none", "1"),
        ("bus/malignancy", "resnet18", "sha256", "1"),
        ("bus/malignancy", "resnet18", "sha256", "1"),
    ]


@pytest.fixture
def rows():
    return make_rows(
        [PRIMARY, PRIMARY, OTHER],
        [
            record(0.875, (0.75, 0.9375), seed=0),
            record(0.90625, (0.8125, 1.0), seed=1),
            record(None, None, backbone="resnet50", weights="sha256:ab", partial=True, test_samples=6),
        ],
    )


def test_markdown(rows):
    assert markdown_table(rows) == (
        "| task | backbone | weights | seeds | test | AUROC | 95 % interval | paper | difference | data |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n"
        "| bus/case category | resnet18 | imagenet | 2 | 1,234 | 89.1 | 75.0 to 100.0 | 96.0 | -6.9 | whole |\n"
        "| bus/malignancy | resnet50 | sha256 | 1 | 6 | – | – | – | – | part |\n"
        f"\n{NOTE}\n"
    )


def test_csv(rows):
    assert csv_table(rows) == (
        "task,backbone,weights,seeds,test_samples,auroc,low,high,paper_auroc,data_partial\n"
        "bus/case category,resnet18,imagenet,2,1234,0.890625,0.75,1.0,0.96,false\n"
        "bus/malignancy,resnet50,sha256:ab,1,6,,,,,true\n"
    )


def test_csv_keeps_full_precision():
    (row,) = csv.DictReader(io.StringIO(csv_table(make_rows([OTHER], [record(2 / 3, (0.1 + 0.2, 1.0))]))))
    assert (float(row["auroc"]), float(row["low"])) == (2 / 3, 0.1 + 0.2)


def test_the_terminal_shows_the_same_cells(rows):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal_table(rows))
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.export_text().splitlines()]
    assert [tuple(line) for line in lines if line] == [row.cells() for row in rows]


def test_tables_are_written_where_they_are_said_to_be(rows, tmp_path):
    markdown, values = write_tables(tmp_path / "new", rows)
    assert (markdown, values) == (tmp_path / "new" / "table.md", tmp_path / "new" / "table.csv")
    assert markdown.read_text(encoding="utf-8") == markdown_table(rows)
    assert values.read_text(encoding="utf-8") == csv_table(rows)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["table.csv", "table.md"]
