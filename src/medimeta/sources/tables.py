"""Label tables of the originals: CSV and XLSX, read strictly, with every problem told at once.

What real tables carry is accepted: a byte-order mark, CRLF, blanks around cells, a newline inside a cell, empty lines.
"""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from medimeta._optional import require
from medimeta.errors import SourceError, TableError, problems_error
from medimeta.sources.archive import Archive

MAX_CELL_BYTES = 1_000_000
MAX_XLSX_ROWS = 1_000_000
MAX_XLSX_BYTES = 256 * 1024**2  # unpacked


@dataclass(frozen=True, slots=True)
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
    unusable: list[SourceError] | None = None,
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
    unusable : list of SourceError, optional
        Takes an error for each row that cannot be used, and the table is that of the others; else all are raised.

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
    # Tables saved by spreadsheet programs are latin-1, where every byte means something.
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig" if _is_utf8(data) else "latin-1", newline="")
    previous = csv.field_size_limit(MAX_CELL_BYTES)
    try:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        lines = ((reader.line_num, cells) for cells in reader)
        return make_table(where, lines, columns, key=key, rename=rename, unusable=unusable)
    except csv.Error as error:
        raise TableError(f"{where}: is not a table of comma-separated values ({error}).") from error
    finally:
        csv.field_size_limit(previous)


def read_xlsx(
    source: Archive,
    member: str,
    columns: Iterable[str],
    *,
    key: Sequence[str] = (),
    rename: Callable[[str], str] = same_name,
    unusable: list[SourceError] | None = None,
) -> Table:
    """Read the first sheet of a spreadsheet; see `read_csv`. Whole numbers read as whole, whatever their format."""
    openpyxl = require("openpyxl")
    where = source.where(member)
    data = source.read(member)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if (size := sum(info.file_size for info in packed.infolist())) > MAX_XLSX_BYTES:
                raise ValueError(f"{size:,} bytes unpacked, more than the {MAX_XLSX_BYTES:,} that a table may have")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and the like that it does not know
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # what a file says of its size may be wrong, and would cut rows off
            lines = [
                [_cell_text(value) for value in values]
                for values in sheet.iter_rows(max_row=MAX_XLSX_ROWS, values_only=True)
            ]
    except Exception as error:
        raise TableError(f"{where}: is not a spreadsheet that can be read ({error}).") from error
    width = max(map(len, lines), default=0)
    padded = (cells + [""] * (width - len(cells)) for cells in lines)  # empty cells at the end of a row are not stored
    return make_table(where, enumerate(padded, 1), columns, key=key, rename=rename, unusable=unusable)


def make_table(
    where: str,
    lines: Iterable[tuple[int, list[str]]],
    columns: Iterable[str],
    *,
    key: Sequence[str] = (),
    rename: Callable[[str], str] = same_name,
    unusable: list[SourceError] | None = None,
) -> Table:
    """Make a table of lines that were read, the first of which names the columns; see `read_csv`."""
    cleaned = ((number, [_clean(cell) for cell in cells]) for number, cells in lines)
    filled = ((number, cells) for number, cells in cleaned if any(cells))
    _, first = next(filled, (0, []))
    if not first:
        raise TableError(f"{where}: is empty.")
    head = [rename(name) for name in first]
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
    shared: dict[str, str] = {}  # a long table says the same in many cells: each text is held once
    for number, cells in filled:
        if len(cells) < len(head) or any(cells[len(head) :]):
            problems.append(f"{where}, line {number}: has {len(cells)} cells, the head has {len(head)}")
            continue
        texts = (shared.setdefault(cell, cell) for cell in cells)
        row = Row(f"{where}, line {number}", dict(zip(head, texts, strict=False)))
        values = tuple(row[column] for column in key)
        if key and values in seen:
            named = ", ".join(f"{column} {value}" for column, value in zip(key, values, strict=True))
            problems.append(f"{where}, line {number}: {named} is already in line {seen[values]}")
            continue
        seen[values] = number
        rows.append(row)
    if unusable is not None:
        unusable += map(TableError, problems)
    elif problems:
        raise problems_error(TableError, f"{where}: has rows that cannot be used.", problems)
    return Table(where, tuple(head), tuple(rows))


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _clean(cell: str) -> str:
    return "".join(cell.split("\n")).replace("\r", "").strip()


def _cell_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
