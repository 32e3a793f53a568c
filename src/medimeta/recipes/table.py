"""People's own data with a table: CSV, TSV or XLSX, a row for each image, its path or name in one column.

Order: that of the rows. Every column that the card does not use becomes an annotation; so does the group's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from medimeta.catalogue.own import RESERVED, ColumnRule, TableCard, clean
from medimeta.errors import SourceError, SourceNotFoundError, TableError
from medimeta.recipes.image_names import ImageNames
from medimeta.recipes.own_recipe import OwnRecipe, is_set, label_of, labels_between, split_of
from medimeta.recipes.recipe import Label, Listing, Options, Sample
from medimeta.sources.archive import Archive
from medimeta.sources.tables import Row, Table, read_csv, read_xlsx

TABLES = (".csv", ".tsv", ".txt", ".xlsx")
_HEAD_BYTES = 65536


@dataclass(frozen=True)
class TableRecipe(OwnRecipe):
    """Images that a table names."""

    card: TableCard

    name = "table"

    @property
    def subject_column(self) -> str | None:
        """The annotation that holds the group's column."""
        return None if self.card.group is None else self._annotation(self.card.group)

    def listing(self, source: Archive, options: Options) -> Listing:
        """List the rows of the table whose image is there.

        Rows cannot be used if they have no label, group or split, or name an image twice.

        Raises
        ------
        SourceNotFoundError
            There is no such table, or it names no image at all.
        TableError
            Columns are missing.
        """
        listing = Listing({self.card.id: []})
        table = read_table(source, self._member(source), self._columns(), listing.unusable)
        images = self.images(source)
        names, unreadable = ImageNames(images), ImageNames(self.unreadable(source))
        ambiguous: set[str] = set()
        seen: dict[str, Row] = {}
        for row in table:
            cell = row[self.card.image]
            found = names.find(cell)
            sample, wrong = self._sample(found[0] if found else "", row)
            if found or not options.allow_partial:  # a row that is left out may say what it likes
                listing.unusable += [TableError(f"{row.place}: {problem}") for problem in wrong]
            if not found:
                what = "is not PNG, JPEG or TIFF" if unreadable.find(cell) else "is missing"
                listing.missing.append(f"{row.place}: {cell or 'an image without a name'} {what}")
                continue
            if len(found) > 1:
                listing.unusable.append(TableError(f"{row.place}: {cell} may be {' or '.join(found[:3])}"))
                ambiguous.update(found)
                continue
            if found[0] in seen:
                already = f"{found[0]} is already named in {seen[found[0]].place}"
                listing.unusable.append(TableError(f"{row.place}: {already}"))
                continue
            seen[found[0]] = row
            if not wrong:
                listing.samples[self.card.id].append(sample)
        if not seen and not listing.unusable:
            first = f"The first cell is {table.rows[0][self.card.image]!r}." if table.rows else "It has no rows."
            raise SourceNotFoundError(
                f"{table.where}: column {self.card.image!r} names no PNG, JPEG or TIFF image in {source.where('')}, "
                f"which has {len(images)}. {first}"
            )
        listing.unnamed += [
            f"{source.where(member)}: no row of {self.card.table} names it"
            for member in images
            if member not in seen and member not in ambiguous
        ]
        return listing

    def _sample(self, member: str, row: Row) -> tuple[Sample, list[str]]:
        problems: list[str] = []
        labels: dict[str, Label] = {}
        for task, rule in self.card.tasks.items():
            label, wrong = _label(rule, row)
            problems += wrong
            labels[task] = label
        group = row.get(self.card.group) if self.card.group is not None else None
        if group == "":
            problems.append(f"has no {self.card.group}")
        split = "train" if self.card.split is None else split_of(row[self.card.split])
        if split is None and self.card.split is not None:
            problems.append(f"{self.card.split} is {row[self.card.split]!r}, expected train, val or test")
        sample = Sample(
            member=member,
            original_filepath=member,
            labels=labels,
            original_split=split or "train",
            group=group,
            annotations=self._annotations(row),
            details=self.look,
        )
        return sample, problems

    def _annotations(self, row: Row) -> dict[str, str]:
        used = {self.card.image, self.card.split, *_label_columns(self.card.tasks.values())} - {self.card.group}
        return {self._annotation(column): value for column, value in row.cells.items() if column and column not in used}

    def _annotation(self, column: str) -> str:
        """Return what a column of the table is called in ``annotations.csv``."""
        taken = {*RESERVED, *self.card.tasks, *(f"tasks/{task}" for task in self.card.tasks)}
        return f"source_{column}" if column in taken else column

    def _columns(self) -> list[str]:
        named = [self.card.image, *_label_columns(self.card.tasks.values()), self.card.group, self.card.split]
        return list(dict.fromkeys(column for column in named if column is not None))

    def _member(self, source: Archive) -> str:
        """Return the table's member, wherever in the source it lies, if there is one only."""
        wanted = clean(self.card.table).casefold().replace("\\", "/").removeprefix("./")
        tables = [member for member in source.members if member.casefold().endswith(TABLES)]
        folded = {member: clean(member).casefold() for member in tables}
        found = [member for member in tables if folded[member] == wanted]
        found = found or [member for member in tables if folded[member].endswith(f"/{wanted}")]
        if len(found) == 1:
            return found[0]
        others = ", ".join((found or tables)[:10])
        raise SourceNotFoundError(
            f"{source.where('')}: has {'several tables' if found else 'no table'} called {self.card.table}"
            + (f": {others}. Name one with its folders." if found else f". There is: {others or 'no table'}.")
        )


def read_table(
    source: Archive, member: str, columns: Iterable[str], unusable: list[SourceError] | None = None
) -> Table:
    """Read a CSV, TSV or XLSX table; what stands between the cells of a CSV is seen from its head.

    Raises
    ------
    SourceNotFoundError, TableError
        See `medimeta.sources.tables.read_csv`.
    """
    if member.casefold().endswith(".xlsx"):
        return read_xlsx(source, member, columns, rename=clean, unusable=unusable)
    head = source.head(member, _HEAD_BYTES).decode("utf-8", errors="replace")
    first = next((line for line in head.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    return read_csv(source, member, columns, rename=clean, delimiter=delimiter, unusable=unusable)


def _label_columns(rules: Iterable[ColumnRule]) -> Iterator[str]:
    for rule in rules:
        yield from rule.columns if rule.column is None else (rule.column,)


def _label(rule: ColumnRule, row: Row) -> tuple[Label, list[str]]:
    """Return the label of a row, and what is wrong with its cells."""
    if rule.column is None:
        values = {column: is_set(row[column]) for column in rule.columns}
        names = rule.labels or {}
        return frozenset(names.get(column, column) for column, value in values.items() if value), [
            f"{column} is {row[column]!r}, expected 0 or 1" for column, value in values.items() if value is None
        ]
    cell = row[rule.column]
    if rule.separator is not None:
        return labels_between(rule, cell, rule.separator), []
    label = label_of(rule, cell)
    return (label, []) if label is not None else ("", [f"{rule.column} is empty"])
