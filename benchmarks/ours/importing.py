"""Seconds an import takes. Arguments: FIRST MODULE [*]. FIRST is imported before, unmeasured, unless it is ``-``.

With ``*``, all modules of the package are imported as well.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time


def main(first: str, module: str, everything: str = "") -> None:
    """Measure and tell."""
    if first != "-":
        importlib.import_module(first)
    started = time.perf_counter()
    package = importlib.import_module(module)
    if everything:
        for found in pkgutil.iter_modules(package.__path__, f"{module}."):
            importlib.import_module(found.name)
    seconds = time.perf_counter() - started

    from benchmarks.pace import tell  # here: its own imports would take work off the measured one

    tell(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
