"""What is handed to a worker, and what comes back: plain values that pickle, errors included."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from medimeta.benchmark.methods import Step
from medimeta.errors import MedimetaError

Told = Callable[[Step], None]
Job = Callable[[Told], Any]
"""Work that pickles; it is called with what it may tell its steps to."""


@dataclass(frozen=True)
class Failure:
    """Why work has no result.

    Attributes
    ----------
    message : str
        For people.
    kind : str
        Name of the error.
    crash : bool
        Whether it may go better the next time: no error that was foreseen, or the worker died.
    trace : str
        Where it happened, if that is worth telling.
    """

    message: str
    kind: str
    crash: bool = False
    trace: str = ""

    def __str__(self) -> str:
        return self.message


def attempt(job: Job, told: Told) -> Any:
    """Do work, and return its result, or a `Failure`: one cell must not end the others.

    Ctrl-C, and a worker that is told to end, are let through.
    """
    try:
        return job(told)
    except MedimetaError as error:
        return Failure(str(error), type(error).__name__)
    except Exception as error:  # noqa: BLE001 - of a method, or of a library: recorded, and the other cells go on
        message = f"{type(error).__name__}: {error}"
        return Failure(message, type(error).__name__, crash=True, trace=traceback.format_exc())
