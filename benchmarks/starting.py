"""The cases of starting: what a process pays before there is anything to do."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.cases import OURS, RELEASED, Case, Comparison, ours, process, reference

IMPORT_SECONDS = 0.15
LOADING_SECONDS = 0.1


def starting_cases(python: Path) -> tuple[Case, ...]:
    """Lay out the cases, for a Python with the released packages."""
    here = sys.executable
    return (
        Case(
            name="imports",
            unit="s",
            more_is_better=False,
            rounds=9,
            sides={
                OURS: ours("importing", "-", "medimeta"),
                "loading": ours("importing", "torch", "medimeta.loading"),
                "loader": ours("importing", "torch", "medimeta.loading.loader"),
                "bound": reference("bound", IMPORT_SECONDS),
                "bound of loading": reference("bound", LOADING_SECONDS),
            },
            comparisons=(
                Comparison("import medimeta, below its bound", OURS, "bound", target=1),
                Comparison("import medimeta.loading after torch, below its bound", "loading", "bound of loading", 1),
                Comparison("what mm.load and mm.loader need after torch", "loader", "bound of loading", 1),
            ),
            note="Time of the import alone, in a fresh process. `medimeta.loading` is a package that imports nothing "
            "by itself; the last row is what is imported when `mm.load` and `mm.loader` are first used, half of it by "
            "pydantic.",
        ),
        Case(
            name="start",
            unit="s",
            more_is_better=False,
            rounds=9,
            sides={
                "import": process(here, "-c", "import medimeta"),
                "list": process(here, "-m", "medimeta", "list"),
                RELEASED: process(python, "-c", "import medimeta"),
            },
            comparisons=(
                Comparison("import medimeta", "import", RELEASED, target=10),
                Comparison("medimeta list, against import", "list", RELEASED, target=10),
            ),
            note="Wall time of a whole process, the start of Python included. `medimeta list` is compared with the "
            "released `import medimeta`, which has no such command.",
        ),
    )
