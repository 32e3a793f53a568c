"""The page: one HTML file with its style and plots in it, and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from medimeta._optional import require
from medimeta.benchmark.report.overview import make_overview
from medimeta.benchmark.report.sections import few_shot_lines, make_sections
from medimeta.benchmark.report.strip import strip, strip_axis
from medimeta.benchmark.results import Results
from medimeta.benchmark.rows import Row
from medimeta.benchmark.table import FEW_SHOT_NOTE, NOTE, make_tables, percent, signed

OPEN_TASKS = 2  # sections that are open when the page is; more of them are long to scroll


def page(results: Results, rows: Sequence[Row]) -> str:
    """Return the page.

    Parameters
    ----------
    results : Results
        What lies in the folder.
    rows : sequence of Row
        Its records by cell.

    Raises
    ------
    MissingDependencyError
        jinja2 is not installed.
    """
    jinja2 = require("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("medimeta.benchmark.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"percent": percent, "signed": signed}
    sections, unread = make_sections(results, rows)
    supervised = [row for row in rows if row.supervised]
    axis = strip_axis(supervised)
    text: str = environment.get_template("page.html").render(
        overview=make_overview(results.records, rows, len(results.failed)),
        failed=results.failed,
        problems=tuple(dict.fromkeys((*results.problems, *unread))),
        supervised=supervised,
        few_shot=few_shot_lines([row for row in rows if not row.supervised]),
        summary=next((table for table in make_tables(rows) if table.title == "Summary"), None),
        sections=sections,
        opened=len(sections) <= OPEN_TASKS,
        axis=axis,
        strip=lambda row: strip(row, axis),
        note=NOTE,
        few_shot_note=FEW_SHOT_NOTE,
    )
    return text
