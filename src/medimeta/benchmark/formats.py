"""A table in the terminal, as Markdown, as LaTeX; and all rows as CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from medimeta.benchmark.rows import Row
from medimeta.benchmark.table import Table

if TYPE_CHECKING:
    from rich.table import Table as RichTable

CSV_COLUMNS = (
    "task",
    "method",
    "backbone",
    "weights",
    "shots",
    "settings",
    "seeds",
    "episodes",
    "test_samples",
    "auroc",
    "spread",
    "low",
    "high",
    "accuracy",
    "paper_auroc",
    "difference",
    "data_partial",
)
_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "–": "--",
    "±": r"$\pm$",
    "’": "'",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


def terminal_table(table: Table) -> RichTable:
    """Return a table for the terminal."""
    from rich.markup import escape
    from rich.table import Table as RichTable

    shown = RichTable(title=table.title, caption=table.note, caption_justify="left", show_footer=bool(table.footer))
    for number, column in enumerate(table.columns):
        footer = escape(table.footer[number]) if table.footer else ""
        shown.add_column(escape(column), footer=footer, justify="left" if number < table.words else "right")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    return shown


def markdown(tables: Sequence[Table]) -> str:
    """Return tables as Markdown, each under its title and with what it means below."""
    return "\n".join(_markdown_table(table) for table in tables)


def _markdown_table(table: Table) -> str:
    rule = ["---" if number < table.words else "---:" for number in range(len(table.columns))]
    footer = [tuple(f"**{cell}**" for cell in table.footer)] if table.footer else []
    lines = [_markdown_line(row) for row in (table.columns, rule, *table.rows, *footer)]
    return f"## {table.title}\n\n" + "\n".join(lines) + f"\n\n{table.note}\n"


def _markdown_line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def csv_text(rows: Sequence[Row]) -> str:
    """Return all rows as CSV, figures as fractions at full precision, for further computation.

    ``low`` and ``high`` bound a bootstrap interval, or for few-shot rows the mean -+ 1.96 standard errors. What is not
    defined is an empty cell.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows:
        writer.writerow(
            (
                *(row.task, row.method, row.backbone, row.weights, row.shots, row.apart),
                *(len(row.runs), row.episodes or None, row.test_samples),
                *(row.auroc, row.spread, *(row.interval or (None, None)), row.mean("accuracy")),
                *(row.paper, row.difference, str(row.partial).lower()),
            )
        )
    return text.getvalue()


def latex(tables: Sequence[Table]) -> str:
    r"""Return tables for LaTeX; they need ``\usepackage{booktabs}``."""
    return "% needs \\usepackage{booktabs}\n\n" + "\n".join(_latex_table(table) for table in tables)


def _latex_table(table: Table) -> str:
    columns = "l" * table.words + "r" * (len(table.columns) - table.words)
    footer = [r"\midrule", _latex_line(table.footer)] if table.footer else []
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{tex_escaped(f'{table.title}. {table.note}')}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _latex_line(table.columns),
        r"\midrule",
        *map(_latex_line, table.rows),
        *footer,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _latex_line(cells: Sequence[str]) -> str:
    line = " & ".join(map(tex_escaped, cells)) + r" \\"
    return f"{{}}{line}" if line[0] in "[*" else line  # else the line break before it would take them as its own


def tex_escaped(words: str) -> str:
    r"""Return words as LaTeX shows them.

    Examples
    --------
    >>> print(tex_escaped("dr_regular: 5 % ± 1"))
    dr\_regular: 5 \% $\pm$ 1
    """
    return re.sub("|".join(map(re.escape, _TEX)), lambda sign: _TEX[sign[0]], words)
