"""All that is wrong with the tables and names of an original, told at once: one error for problems of all kinds."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import NamedTuple

from medimeta.errors import SourceError, TableError, problems_error
from medimeta.recipes.recipe import Listing

PARTIAL = (
    "Check that the download is whole. To build from a part all the same, pass --allow-partial (allow_partial=True); "
    "the manifest records it."
)
PARTIAL_BUT = (
    "Check that the download is whole. With --allow-partial (allow_partial=True), rows without image and images "
    "without row are left out, but what else is wrong is not."
)


class Fault(NamedTuple):
    """One kind of what is wrong with an original.

    Attributes
    ----------
    said : str
        What is wrong, with how often.
    kind : type of SourceError
        The error that it is.
    problems : sequence of str
        Every case, with its place.
    way_out : str
        What to do.
    """

    said: str
    kind: type[SourceError]
    problems: Sequence[str]
    way_out: str = ""


def fits(listing: Listing, *, allow_partial: bool) -> bool:
    """Whether every row and image can be used, but for those that may be left out."""
    return not listing.unusable and (allow_partial or not (listing.missing or listing.unnamed))


def refuse_misfits(
    listing: Listing, where: str, *, allow_partial: bool, way_out: str = "", further: Sequence[Fault] = ()
) -> None:
    """Raise one error where a listing cannot be built from, with everything that is wrong with it.

    Parameters
    ----------
    listing : Listing
        What the tables and names of an original say.
    where : str
        The original's place.
    allow_partial : bool
        Whether rows without image, and images without row, may be left out.
    way_out : str
        What to do about what cannot be used.
    further : sequence of Fault
        What else was found, such as labels that the card does not know.

    Raises
    ------
    SourceError
        Of the kind of the first fault: what cannot be used, then what else was found, then what lacks its image or row.

    Examples
    --------
    >>> listing = Listing({}, missing=["t.csv, line 3: 7.png is missing"])
    >>> listing.unusable.append(TableError("t.csv, line 2: no label"))
    >>> refuse_misfits(listing, "data", allow_partial=True, way_out="Put them right.")
    Traceback (most recent call last):
        ...
    medimeta.errors.TableError: data: 1 row or image cannot be used.
      - t.csv, line 2: no label
    Put them right.
    """
    faults: list[Fault] = []
    if listing.unusable:
        problems = [problem for error in listing.unusable for problem in error.problems or (str(error),)]
        said = f"{_count(problems, 'row or image', 'rows or images')} cannot be used"
        faults.append(Fault(said, type(listing.unusable[0]), problems, way_out))
    faults += further
    if not allow_partial:
        advice = PARTIAL_BUT if faults else PARTIAL
        if listing.missing:
            said = f"{_count(listing.missing, 'row')} without their image"
            faults.append(Fault(said, TableError, listing.missing, advice))
        if listing.unnamed:
            said = f"{_count(listing.unnamed, 'image')} without a row"
            faults.append(Fault(said, TableError, listing.unnamed, advice))
    refuse(where, faults)


def refuse(where: str, faults: Sequence[Fault]) -> None:
    """Raise the error for all faults, of the kind of the first; return where there are none."""
    if faults:
        raise problems_error(
            faults[0].kind,
            f"{where}: {', '.join(fault.said for fault in faults)}.",
            [problem for fault in faults for problem in fault.problems],
            " ".join(dict.fromkeys(fault.way_out for fault in faults if fault.way_out)),
        )


@contextmanager
def told_together() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Try several steps, such as tables to be read, and raise what is wrong with any of them as one error at the end.

    Examples
    --------
    >>> with told_together() as step:
    ...     for name in ("a.csv", "b.csv"):
    ...         with step():
    ...             raise TableError(f"{name}: is empty.")
    Traceback (most recent call last):
        ...
    medimeta.errors.TableError: 2 tables or folders cannot be used:
      - a.csv: is empty.
      - b.csv: is empty.
    """
    errors: list[SourceError] = []

    @contextmanager
    def step() -> Iterator[None]:
        try:
            yield
        except SourceError as error:
            errors.append(error)

    yield step
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems = [line for error in errors for line in (str(error).partition("\n")[0], *error.problems)]
        raise problems_error(type(errors[0]), f"{len(errors)} tables or folders cannot be used:", problems)


def _count(things: Collection[str], one: str, many: str = "") -> str:
    return f"{len(things):,} {one if len(things) == 1 else many or f'{one}s'}"
