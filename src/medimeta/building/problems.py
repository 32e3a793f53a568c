"""Where there are more problems than a message shows, all of them go to a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medimeta.errors import SHOWN, MedimetaError


def problems_file(root: Path, dataset: str) -> Path:
    """Return the file that lists all problems of a dataset's last build."""
    return root / f"{dataset}.problems.txt"


@contextmanager
def keep_problems(root: Path, dataset: str) -> Iterator[None]:
    """Write all problems of an error to a file, where the message shows the first only; a good build removes it."""
    with note_problems(root, dataset):
        yield
    problems_file(root, dataset).unlink(missing_ok=True)


@contextmanager
def note_problems(root: Path, dataset: str) -> Iterator[None]:
    """Write all problems of an error to a file, where the message shows the first only."""
    path = problems_file(root, dataset)
    try:
        yield
    except MedimetaError as error:
        if len(error.problems) > SHOWN:
            try:
                root.mkdir(parents=True, exist_ok=True)
                path.write_text("\n".join(error.problems) + "\n", encoding="utf-8", errors="replace")
            except OSError:  # the first problems are in the message all the same
                raise error from None
            error.args = (f"{error.args[0]}\nAll {len(error.problems):,} are listed in {path}.", *error.args[1:])
        elif error.problems:
            with suppress(OSError):
                path.unlink(missing_ok=True)  # that of an earlier build
        raise
