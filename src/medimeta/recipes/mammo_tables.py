"""The four tables of CBIS-DDSM, and what they tell of the two datasets that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from medimeta.errors import SourceError, SourceNotFoundError, problems_error
from medimeta.recipes.refusal import told_together
from medimeta.sources.archive import Archive
from medimeta.sources.tables import Row, Table, plain_name, read_csv

SPLITS = ("train", "test")
PATHS = ("image_file_path", "cropped_image_file_path", "roi_mask_file_path")
KEY = ("patient_id", "left_or_right_breast", "image_view", "abnormality_id")
ANNOTATIONS = (*KEY, "breast_density", "abnormality_type", "assessment", "subtlety", PATHS[0], PATHS[2])

Tables = Mapping[tuple[str, str], Table]
"""Tables by kind of lesion (``calc``, ``mass``) and split (``train``, ``test``)."""


class Kind(NamedTuple):
    """One of the two kinds of lesions: its dataset, and the task of each column."""

    dataset: str
    tasks: Mapping[str, str]


KINDS = {
    "calc": Kind("mammo_calc", {"calc_type": "calc type", "calc_distribution": "calc distribution"}),
    "mass": Kind("mammo_mass", {"mass_shape": "mass shape", "mass_margins": "mass margins"}),
}


def table_name(kind: str, split: str) -> str:
    """Return a table's name without the extension: each is seen below a folder of this name.

    Examples
    --------
    >>> table_name("calc", "train")
    'calc_case_description_train_set'
    """
    return f"{kind}_case_description_{split}_set"


def read_tables(source: Archive, *, allow_partial: bool = False, unusable: list[SourceError] | None = None) -> Tables:
    """Read the tables that are there, both of a kind unless the build is partial; see `read_csv` for `unusable`.

    Raises
    ------
    SourceNotFoundError
        There is none, or one of a kind is there without the other.
    TableError
        A table cannot be used.
    """
    tables: dict[tuple[str, str], Table] = {}
    absent: list[str] = []
    with told_together() as step:
        for key, kind in KINDS.items():
            names = {split: table_name(key, split) for split in SPLITS}
            # Each in its own mount: beside the tables asked for, there may be others whose images are not there.
            found = {split: _own_file(source, name) for split, name in names.items()}
            columns = tuple(dict.fromkeys((*ANNOTATIONS, *PATHS, "pathology", *kind.tasks)))
            for split, member in found.items():
                if member is not None:
                    with step():
                        tables[key, split] = read_csv(
                            source, member, columns, key=KEY, rename=plain_name, unusable=unusable
                        )
                elif any(found.values()):
                    absent.append(f"{names[split]}.csv")
    if not tables or (absent and not allow_partial):
        absent = absent or [f"{table_name(key, split)}.csv" for key in KINDS for split in SPLITS]
        raise problems_error(SourceNotFoundError, f"{source.where('')}: tables of CBIS-DDSM are missing:", absent)
    return tables


class SharedPatients(NamedTuple):
    """Patients who are in both datasets, and those of them who are trained on in one and tested on in the other."""

    both: frozenset[str]
    mass_train_in_calc_test: frozenset[str]
    calc_train_in_mass_test: frozenset[str]


def shared_patients(tables: Tables) -> SharedPatients:
    """Find the patients that mammo_calc and mammo_mass share, which release 1.0 does not declare."""
    of = {place: frozenset(row["patient_id"] for row in table) for place, table in tables.items()}
    return SharedPatients(
        (of["calc", "train"] | of["calc", "test"]) & (of["mass", "train"] | of["mass", "test"]),
        of["mass", "train"] & of["calc", "test"],
        of["calc", "train"] & of["mass", "test"],
    )


def lucent_centered(tables: Tables) -> list[Row]:
    """Find the rows on which release 1.0 also sets ``LUCENT_CENTER``."""
    rows = (row for (key, _), table in tables.items() if key == "calc" for row in table)
    return [row for row in rows if "LUCENT_CENTERED" in row["calc_type"].split("-")]


def _own_file(source: Archive, name: str) -> str | None:
    return next((f"{name}/{file}" for file in source.files(name) if file.casefold() == f"{name}.csv"), None)
