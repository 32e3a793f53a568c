"""Tables say what was measured, beside what the paper says; every format says the same."""

import csv
import io
import random

import pytest
from rich.console import Console
from tests.benchmark.made import make_few_shot, make_record

from medimeta.benchmark.formats import CSV_COLUMNS, csv_text, latex, markdown, terminal_table, tex_escaped
from medimeta.benchmark.rows import make_rows
from medimeta.benchmark.table import Table, few_shot_table, make_tables, results_table, signed, summary_table


def line(*records):
    """The one line of some records, by column."""
    table = results_table(make_rows(records))
    (row,) = table.rows
    return dict(zip(table.columns, row, strict=True))


def test_a_line_is_in_percent_beside_the_papers_figure():
    assert line(make_record(auroc=0.9512, interval=(0.9, 0.97551))) == {
        "task": "bus/case category",
        "backbone": "resnet18",
        "weights": "imagenet",
        "seeds": "1",
        "test": "1,234",
        "AUROC": "95.1",
        "spread": "–",
        "95 % interval": "90.0 to 97.6",
        "paper": "96.0",
        "difference": "-0.9",
        "data": "whole",
    }


def test_what_is_not_defined_is_a_dash():
    found = line(make_record(auroc=None, interval=None, data_partial=True))
    assert [found[name] for name in ("AUROC", "spread", "95 % interval", "paper", "difference", "data")] == [
        *("–", "–", "–", "96.0", "–", "part"),
    ]


def test_seeds_have_a_spread_and_a_difference_a_sign():
    found = line(make_record(auroc=0.97), make_record(auroc=0.99, seed=1))
    assert (found["AUROC"], found["spread"], found["difference"], found["seeds"]) == ("98.0", "1.4", "+2.0", "2")


@pytest.mark.parametrize(("value", "shown"), [(0.0, "+0.0"), (-0.0004, "+0.0"), (-0.0006, "-0.1"), (-0.104, "-10.4")])
def test_no_difference_has_one_sign(value, shown):
    assert signed(value) == shown


def test_settings_have_a_column_where_they_differ():
    table = results_table(make_rows([make_record(), make_record(config={"learning_rate": 0.01})]))
    column = table.columns.index("settings")
    assert [row[column] for row in table.rows] == ["learning_rate 0.001", "learning_rate 0.01"]
    assert "settings" not in results_table(make_rows([make_record()])).columns


def test_few_shot_figures_have_their_standard_errors():
    table = few_shot_table(make_rows([make_few_shot(5, 0.7, 0.01, accuracy=0.5)]))
    assert dict(zip(table.columns, table.rows[0], strict=True)) == {
        "task": "bus/case category",
        "method": "protonet",
        "backbone": "resnet18",
        "weights": "imagenet",
        "shots": "5",
        "episodes": "100",
        "AUROC": "70.0 ± 2.0",
        "accuracy": "50.0 ± 2.0",
        "data": "whole",
    }


def test_the_summary_is_the_papers_table():
    records = [
        make_record("pbc/cell class", auroc=0.99),
        make_record("bus/case category", auroc=0.95),
        make_record("bus/case category", auroc=0.97, backbone="resnet50"),
        make_record("pbc/cell class", auroc=0.98, backbone="resnet50"),
        make_record("aml/morphological class", auroc=0.5),
    ]
    table = summary_table(make_rows(records))
    assert table.columns == ("task", "resnet18", "resnet50", "paper, resnet18", "paper, resnet50")
    assert table.rows == (
        ("aml/morphological class", "50.0", "–", "99.1", "–"),
        ("bus/case category", "95.0", "97.0", "96.0", "96.6"),
        ("pbc/cell class", "99.0", "98.0", "99.9", "100.0"),
    )
    # aml has no ResNet-50: a mean that counted it in one column alone would compare different tasks.
    assert table.footer == ("mean of 2", "97.0", "97.5", "98.0", "98.3")


def test_origins_of_weights_are_columns_of_the_summary():
    table = summary_table(make_rows([make_record(), make_record(weights="none", weights_name="scratch")]))
    assert table.columns == ("task", "resnet18 (imagenet)", "resnet18 (scratch)", "paper, resnet18")
    assert table.footer == ()


def test_there_are_tables_for_what_there_is():
    def titles(*records):
        return [table.title for table in make_tables(make_rows(records))]

    assert titles() == []
    assert titles(make_record()) == ["Test AUROC", "Summary"]
    assert titles(make_few_shot()) == ["Few-shot"]
    assert titles(make_few_shot(), make_record()) == ["Test AUROC", "Summary", "Few-shot"]


TABLE = Table("A & B", "Means.", ("task", "n|m"), (("dr_regular/x", "1 ± 2"), ("[b]/y", "–")), 1, ("mean", "3 %"))


def test_markdown():
    assert markdown([TABLE]) == (
        "## A & B\n\n"
        "| task | n\\|m |\n| --- | ---: |\n| dr_regular/x | 1 ± 2 |\n| [b]/y | – |\n| **mean** | **3 %** |\n\nMeans.\n"
    )


def test_latex():
    assert latex([TABLE]).splitlines()[2:] == [
        r"\begin{table}",
        r"\centering",
        r"\caption{A \& B. Means.}",
        r"\begin{tabular}{lr}",
        r"\toprule",
        r"task & n\textbar{}m \\",
        r"\midrule",
        r"dr\_regular/x & 1 $\pm$ 2 \\",
        r"{}[b]/y & -- \\",
        r"\midrule",
        r"mean & 3 \% \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


@pytest.mark.parametrize(
    ("plain", "escaped"),
    [
        ("a_b", r"a\_b"),
        (r"\x", r"\textbackslash{}x"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        ("#${}", r"\#\$\{\}"),
    ],
)
def test_latex_shows_signs_that_it_would_obey(plain, escaped):
    assert tex_escaped(plain) == escaped


def test_the_terminal_shows_the_same_cells():
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal_table(TABLE))
    shown = console.export_text()
    assert all(cell in shown for row in (*TABLE.rows, TABLE.columns, TABLE.footer) for cell in row)


def test_csv_keeps_full_precision_and_leaves_empty_what_is_not_defined():
    rows = make_rows([make_record(auroc=2 / 3, interval=(0.1 + 0.2, 1.0)), make_few_shot(auroc=0.7, error=0.01)])
    first, second = csv.DictReader(io.StringIO(csv_text(rows)))
    assert tuple(first) == CSV_COLUMNS
    assert (float(first["auroc"]), float(first["low"]), float(first["paper_auroc"])) == (2 / 3, 0.1 + 0.2, 0.96)
    assert (first["method"], first["shots"], first["spread"], first["data_partial"]) == ("supervised", "", "", "false")
    assert (second["method"], second["shots"], second["episodes"], second["paper_auroc"]) == (
        "protonet",
        "5",
        "100",
        "",
    )
    assert float(second["low"]) == pytest.approx(0.7 - 0.0196)


def test_the_bytes_do_not_depend_on_the_order_in_which_cells_ran():
    records = [
        make_record(task, auroc=0.5 + seed / 10 + 1 / 3, seed=seed, backbone=backbone)
        for task in ("pbc/cell class", "bus/case category")
        for backbone in ("resnet18", "resnet50")
        for seed in (0, 1, 2)
    ]
    expected = None
    for seed in range(4):
        random.Random(seed).shuffle(records)
        rows = make_rows(records)
        found = (csv_text(rows), markdown(make_tables(rows)), latex(make_tables(rows)))
        assert expected in (None, found)
        expected = found
