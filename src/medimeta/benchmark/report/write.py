"""Write the tables and the page from the records in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from medimeta._files import write_whole
from medimeta.benchmark.formats import csv_text, latex, markdown
from medimeta.benchmark.results import read_results
from medimeta.benchmark.rows import make_rows
from medimeta.benchmark.table import make_tables
from medimeta.errors import RootNotWritableError, UsageError

FORMATS = ("md", "csv", "tex", "html")
NAMES = {"md": "table.md", "csv": "table.csv", "tex": "table.tex", "html": "report.html"}


def write_report(out: Path, formats: Sequence[str] = FORMATS) -> tuple[Path, ...]:
    """Write tables and the page from the records in a folder; nothing is trained.

    The same records give the same bytes, whatever order they were made in.

    Parameters
    ----------
    out : Path
        Folder with the results of ``medimeta benchmark`` or ``medimeta train``.
    formats : sequence of {"md", "csv", "tex", "html"}
        What to write.

    Returns
    -------
    tuple of Path
        ``table.md``, ``table.csv``, ``table.tex`` and ``report.html`` in `out`, as far as asked for.

    Raises
    ------
    ResultsNotFoundError
        There is no such folder, or nothing in it.
    UsageError
        A format that is not known.
    RootNotWritableError
        The folder cannot be written.
    MissingDependencyError
        The page needs jinja2, which is not installed; the tables are written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise UsageError(f"formats must be some of {', '.join(FORMATS)}, got {', '.join(unknown) or 'none'}.")
    results = read_results(out)
    rows = make_rows(results.records)
    tables = make_tables(rows)
    written = []
    for name in (each for each in FORMATS if each in formats):  # the page last: it needs a library that may be missing
        if name == "html":
            from medimeta.benchmark.report.page import page

            text = page(results, rows)
        else:
            text = csv_text(rows) if name == "csv" else {"md": markdown, "tex": latex}[name](tables)
        try:
            write_whole(out / NAMES[name], text.encode())
        except OSError as error:
            raise RootNotWritableError(f"{out / NAMES[name]}: cannot be written ({error.strerror}).") from error
        written.append(out / NAMES[name])
    return tuple(written)
