"""Seconds an import takes. Arguments: FIRST MODULE. FIRST is imported before, unmeasured, unless it is ``-``."""

from __future__ import annotations

import importlib
import sys
import time


def main(first: str, module: str) -> None:
    """Measure and tell."""
    if first != "-":
        importlib.import_module(first)
    started = time.perf_counter()
    importlib.import_module(module)
    seconds = time.perf_counter() - started

    from benchmarks.pace import tell  # here: its own imports would take work off the measured one

    tell(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
