"""Results: a table for the terminal, one JSON file a case, and ``docs/benchmarks.md`` made of all of these."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from benchmarks.cases import Case
from benchmarks.environment import REPOSITORY
from benchmarks.measure import Measured, ratio

RESULTS = REPOSITORY / "benchmarks" / "results"
PAGE = REPOSITORY / "docs" / "benchmarks.md"
FACTS = (
    "batch",
    "precision",
    "episode",
    "cache",
    "device",
)  # what a worker says that a reader of the figures should know
COLUMNS = ("what", "ours", "other side", "ratio", "target", "met")
INTRODUCTION = """\
# Benchmarks

Written by `make bench`; `benchmarks/` has the code and every single figure. A figure is the median of all rounds, with
the lowest and the highest in brackets; each round runs in a fresh process, the sides take turns, and a run is repeated
where other processes were busy meanwhile. A ratio says how many times as good the left side is, by the medians; where
the other side is a bound, 1 is enough. Only ratios carry over to other machines, and not all do: the training step
depends on whether the processor multiplies bfloat16.
"""


def result(case: Case, measured: Measured, **context: Any) -> dict[str, Any]:
    """Return all of a case's figures as plain values, ready for JSON; `context` is where they come from.

    Nothing is measured where a machine lacks what a case takes: then its rows are empty.
    """
    comparisons = []
    for comparison in case.comparisons:
        times = ratio(case, comparison, measured) if measured else None
        target = comparison.target
        met = None if target is None or times is None else times >= target
        comparisons.append({**vars(comparison), "ratio": times, "met": met})
    return {
        "name": case.name,
        "unit": case.unit,
        "note": case.note,
        "comparisons": comparisons,
        "sides": {name: figures.as_dict() for name, figures in measured.items()},
        **context,
    }


def write_results(results: Iterable[dict[str, Any]], order: Sequence[str]) -> Path:
    """Write the results of this run, and the page anew from these and earlier ones; return its path.

    `order` has the names of all cases; results of cases that are no more are left alone and left out.
    """
    RESULTS.mkdir(exist_ok=True)
    for each in results:
        text, path = json.dumps(each, indent=1, ensure_ascii=False), RESULTS / f"{each['name']}.json"
        if each["sides"] or not path.is_file():  # what another machine measured stays
            path.write_text(f"{text}\n", encoding="utf-8")
    files = [path for name in order if (path := RESULTS / f"{name}.json").is_file()]
    known = [json.loads(path.read_text(encoding="utf-8")) for path in files]
    PAGE.write_text(_page(known), encoding="utf-8")
    return PAGE


def terminal_table(results: Sequence[dict[str, Any]]) -> Table:
    """Return a table for the terminal."""
    table = Table(title="Ours against the released packages, and what the machine allows", title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "what" else "right")
    for each in results:
        for cells in _rows(each):
            table.add_row(*cells)
    return table


def disturbed(each: dict[str, Any]) -> str:
    """Return in one line how many figures are not to be trusted; nothing where all are."""
    sides = each["sides"].values()
    taken, all_values = sum(side["disturbed"] for side in sides), sum(len(side["values"]) for side in sides)
    busy = f"{each['name']}: {taken} of {all_values} figures were taken while other processes were busy"
    return busy if taken else ""


def _page(results: Sequence[dict[str, Any]]) -> str:
    # Cases may have been measured one by one, on several machines: each table holds what belongs together.
    groups: dict[str, list[dict[str, Any]]] = {}
    for each in results:
        where = json.dumps([each[part] for part in ("date", "machine", "versions", "data")])
        groups.setdefault(where, []).append(each)
    parts = [INTRODUCTION, *(_section(group) for group in groups.values()), "## What was measured\n"]
    parts += [f"**{each['name']}.** {each['note']}\n" for each in results]
    return "\n".join(parts)


def _section(group: Sequence[dict[str, Any]]) -> str:
    first = group[0]
    machine, versions = first["machine"], first["versions"]
    lines = [
        f"## {first['date']}: {machine['processor']}",
        "",
        f"{machine['cores']} cores, {machine['memory']}, {machine['system']}. Data: {first['data']}.",
        "",
        _line(COLUMNS),
        _line(["---", *["---:"] * (len(COLUMNS) - 1)]),
        *(_line(cells) for each in group for cells in _rows(each)),
        "",
        *(f"- {side}: {', '.join(f'{name} {number}' for name, number in versions[side].items())}" for side in versions),
    ]
    remarks = [remark for each in group for remark in (_facts(each), disturbed(each))]
    return "\n".join([*lines, *(f"- {remark}" for remark in remarks if remark)]) + "\n"


def _facts(each: dict[str, Any]) -> str:
    """Return in one line what the sides said about their work."""
    said = []
    for name, figures in each["sides"].items():
        facts = ", ".join(str(figures["facts"][fact]) for fact in FACTS if fact in figures["facts"])
        said += [f"{name} {facts}"] if facts else []
    return f"{each['name']}: {'; '.join(said)}" if said else ""


def _rows(each: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = []
    for comparison in each["comparisons"]:
        target, met, times = comparison["target"], comparison["met"], comparison["ratio"]
        figures = [each["sides"].get(comparison[side]) for side in ("side", "against")]
        rows.append(
            (
                comparison["title"],
                *("–" if side is None else _figure(side, each["unit"]) for side in figures),
                "–" if times is None else f"{times:.2f}" if target is None or target <= 1 else f"{times:,.1f}",
                "–" if target is None else f"{target:g}",
                "–" if met is None else "yes" if met else "no",
            )
        )
    return rows


def _figure(figures: dict[str, Any], unit: str) -> str:
    middle, low, high = (_number(figures[part]) for part in ("median", "min", "max"))
    return f"{middle} {unit} ({low} to {high})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
