"""Tables of results beside the paper's figures: for the terminal, as Markdown, and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from rich.table import Table

from medimeta._files import write_whole
from medimeta.benchmark.protocol import paper_auroc
from medimeta.benchmark.record import Record
from medimeta.catalogue.schema import TaskCard

COLUMNS = (
    "task",
    "backbone",
    "weights",
    "seeds",
    "test",
    "AUROC",
    "95 % interval",
    "paper",
    "difference",
    "data",
)
NOTE = (
    "AUROC on the test split in percent, mean over seeds; classes without positives or negatives are skipped. "
    "The interval is a bootstrap over test images, the widest over seeds. The paper reports one run, from ImageNet "
    "weights, on whole data; there is no difference to tell for data built from a part."
)


@dataclass(frozen=True)
class Row:
    """The runs of one task with one backbone and one origin of weights."""

    task: TaskCard
    backbone: str
    weights: str
    seeds: int
    test_samples: int
    auroc: float | None
    interval: tuple[float, float] | None
    paper: float | None
    partial: bool

    @property
    def difference(self) -> float | None:
        """How far `auroc` is above the paper's; None where either is missing, or the data are only a part."""
        if self.auroc is None or self.paper is None or self.partial:
            return None
        return self.auroc - self.paper

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, in the order of `COLUMNS`."""
        return (
            self.task.id,
            self.backbone,
            self.weights.partition(":")[0],
            str(self.seeds),
            f"{self.test_samples:,}",
            _percent(self.auroc),
            "–" if self.interval is None else f"{_percent(self.interval[0])} to {_percent(self.interval[1])}",
            _percent(self.paper),
            "–" if self.difference is None else f"{100 * self.difference:+.1f}",
            "part" if self.partial else "whole",
        )


def make_rows(tasks: Sequence[TaskCard], records: Sequence[Record]) -> list[Row]:
    """Gather records by task, backbone and origin of weights, in the order in which they come.

    Parameters
    ----------
    tasks : sequence of TaskCard
        The task of each record.
    records : sequence of Record
        Finished runs.
    """
    groups: dict[tuple[TaskCard, str, str], list[Record]] = {}
    for task, record in zip(tasks, records, strict=True):
        groups.setdefault((task, record.backbone, record.weights), []).append(record)
    return [_row(*key, runs) for key, runs in groups.items()]


def _row(task: TaskCard, backbone: str, weights: str, runs: Sequence[Record]) -> Row:
    areas = [run.auroc for run in runs if run.auroc is not None]
    intervals = [run.interval for run in runs if run.interval is not None]
    return Row(
        task=task,
        backbone=backbone,
        weights=weights,
        seeds=len(runs),
        test_samples=runs[0].samples["test"],
        auroc=fmean(areas) if areas else None,
        interval=(min(low for low, _ in intervals), max(high for _, high in intervals)) if intervals else None,
        paper=paper_auroc(task, backbone),
        partial=any(run.data_partial for run in runs),
    )


def terminal_table(rows: Sequence[Row]) -> Table:
    """Return a table for the terminal."""
    table = Table(title="Test AUROC", caption=NOTE, caption_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in ("task", "backbone", "weights", "data") else "right")
    for row in rows:
        table.add_row(*row.cells())
    return table


def markdown_table(rows: Sequence[Row]) -> str:
    """Return a Markdown table, with what it means below."""
    lines = [_markdown_line(COLUMNS), _markdown_line(["---"] * len(COLUMNS))]
    lines += [_markdown_line(row.cells()) for row in rows]
    return "\n".join(lines) + f"\n\n{NOTE}\n"


def csv_table(rows: Sequence[Row]) -> str:
    """Return CSV with AUROC as fractions at full precision, for further computation."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("task", "backbone", "weights", "seeds", "test_samples", "auroc", "low", "high", "paper_auroc", "data_partial")
    )
    for row in rows:
        low, high = row.interval or (None, None)
        figures = (row.auroc, low, high, row.paper)  # None becomes an empty cell
        partial = str(row.partial).lower()
        writer.writerow((row.task.id, row.backbone, row.weights, row.seeds, row.test_samples, *figures, partial))
    return text.getvalue()


def write_tables(out: Path, rows: Sequence[Row]) -> tuple[Path, Path]:
    """Write ``table.md`` and ``table.csv``, and return their paths."""
    markdown, values = out / "table.md", out / "table.csv"
    write_whole(markdown, markdown_table(rows).encode())
    write_whole(values, csv_table(rows).encode())
    return markdown, values


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
