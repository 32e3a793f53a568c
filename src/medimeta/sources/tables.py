"""Label tables of the originals: CSV and XLSX, read strictly, with every problem told at once.

What real tables carry is accepted: a byte-order mark, CRLF, blanks around cells, a newline inside a cell, empty lines.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from medimeta._optional import require
from medimeta.errors import TableError, problems_error
from medimeta.sources.archive import Archive

MAX_CELL_BYTES = 1_000_000
MAX_XLSX_ROWS = 1_000_000


@dataclass(frozen=True)
class Row:
    """One row: cells by column, and where they stand.

    Attributes
    ----------
    place : str
        The table and the line, for messages.
    cells : dict of str to str
        Column to cell, without blanks and newlines around or inside.
    """

    place: str
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]

    def get(self, column: str, default: str = "") -> str:
        """Return a cell, or `default` where the table has no such column."""
        return self.cells.get(column, default)


@dataclass(frozen=True)
class Table:
    """A label table.

    Attributes
    ----------
    where : str
        The table's place, for messages.
    columns : tuple of str
        Names of the columns, in order.
    rows : tuple of Row
        All rows that are not empty, in order.
    """

    where: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def same_name(name: str) -> str:
    """Leave a column's name as it is."""
    return name


def plain_name(name: str) -> str:
    """Return a column's name in lower case, with ``_`` for blanks.

    Examples
    --------
    >>> plain_name("Overall quality")
    'overall_quality'
    """
    return "_".join(name.casefold().split())


def read_csv(
    source: Archive,
    member: str,
    columns: Iterable[str],
    *,
    key: Sequence[str] = (),
    rename: Callable[[str], str] = same_name,
    delimiter: str = ",",
) -> Table:
    """Read a CSV table.

    Parameters
    ----------
    source, member : Archive, str
        Where the table lies.
    columns : iterable of str
        Columns that must be there, as named after `rename`.
    key : sequence of str
        Columns that together tell rows apart; no two rows may agree in all of them.
    rename : callable
        Turns the names in the file into those that are used.
    delimiter : str
        What stands between cells.

    Returns
    -------
    Table
        Every cell as text.

    Raises
    ------
    SourceNotFoundError
        There is no such member.
    TableError
        Columns are missing, rows are longer or shorter than the head, or keys repeat; all of it is told.
    """
    data = source.read(member)
    where = source.where(member)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # tables saved by spreadsheet programs; every byte means something there
    previous = csv.field_size_limit(MAX_CELL_BYTES)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines = [(reader.line_num, cells) for cells in reader]
    except csv.Error as error:
        raise TableError(f"{where}: is not a table of comma-separated values ({error}).") from error
    finally:
        csv.field_size_limit(previous)
    return make_table(where, lines, columns, key=key, rename=rename)


def read_xlsx(
    source: Archive,
    member: str,
    columns: Iterable[str],
    *,
    key: Sequence[str] = (),
    rename: Callable[[str], str] = same_name,
) -> Table:
    """Read the first sheet of a spreadsheet; see `read_csv`. Whole numbers read as whole, whatever their format."""
    openpyxl = require("openpyxl")
    where = source.where(member)
    try:
        book = openpyxl.load_workbook(io.BytesIO(source.read(member)), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        lines = [
            (number, [_cell_text(value) for value in values])
            for number, values in enumerate(sheet.iter_rows(values_only=True, max_row=MAX_XLSX_ROWS), 1)
        ]
    except Exception as error:
        if isinstance(error, OSError) and isinstance(error, TableError):
            raise
        raise TableError(f"{where}: is not a spreadsheet that can be read ({error}).") from error
    return make_table(where, lines, columns, key=key, rename=rename)


def make_table(
    where: str,
    lines: Iterable[tuple[int, list[str]]],
    columns: Iterable[str],
    *,
    key: Sequence[str] = (),
    rename: Callable[[str], str] = same_name,
) -> Table:
    """Make a table of lines that were read, the first of which names the columns; see `read_csv`."""
    filled = [(number, [_clean(cell) for cell in cells]) for number, cells in lines]
    filled = [(number, cells) for number, cells in filled if any(cells)]
    if not filled:
        raise TableError(f"{where}: is empty.")
    head = [rename(name) for name in filled[0][1]]
    while head and not head[-1]:  # a comma too many at the end of lines
        head.pop()
    problems = [f"{where}: has no column {name!r}" for name in columns if name not in head]
    problems += [f"{where}: has two columns {name!r}" for name in dict.fromkeys(head) if name and head.count(name) > 1]
    if problems:
        raise problems_error(
            TableError, f"{where}: is not the table expected; its columns are {', '.join(head)}.", problems
        )
    rows: list[Row] = []
    seen: dict[tuple[str, ...], int] = {}
    for number, cells in filled[1:]:
        if len(cells) < len(head) or any(cells[len(head) :]):
            problems.append(f"{where}, line {number}: has {len(cells)} cells, the head has {len(head)}")
            continue
        row = Row(f"{where}, line {number}", dict(zip(head, cells, strict=False)))
        values = tuple(row[column] for column in key)
        if key and values in seen:
            named = ", ".join(f"{column} {value}" for column, value in zip(key, values, strict=True))
            problems.append(f"{where}, line {number}: {named} is already in line {seen[values]}")
            continue
        seen[values] = number
        rows.append(row)
    if problems:
        raise problems_error(TableError, f"{where}: has rows that cannot be used.", problems)
    return Table(where, tuple(head), tuple(rows))


def _clean(cell: str) -> str:
    return "".join(cell.split("\n")).replace("\r", "").strip()


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
