"""``python -m benchmarks``: measure, print a table, write the results."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import building, cases, data
from benchmarks.download import download_cases
from benchmarks.environment import gpu_name, released_python, versions
from benchmarks.few_shot import few_shot_cases
from benchmarks.loading import loading_cases
from benchmarks.machine import describe_machine
from benchmarks.measure import measure
from benchmarks.report import RESULTS, disturbed, result, terminal_table, write_results
from benchmarks.starting import starting_cases
from benchmarks.train_throughput import training_cases


def main() -> None:
    """Run the benchmarks that are asked for; slow figures are reported, and are no failure."""
    names = [case.name for case in _other_cases(Path(), Path(), quick=True)] + list(building.NAMES)
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"one of {', '.join(names)}")
    parser.add_argument("--rounds", type=int, help="how often each side is measured; else as each case has it")
    parser.add_argument(
        "--patience",
        type=float,
        default=60,
        metavar="SECONDS",
        help="how long, in each case, to wait and repeat while other processes are busy (default: %(default)s)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="little data, few rounds, no results written: does it run?"
    )
    options = parser.parse_args()
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds must be at least 1")

    released = released_python()
    root = data.prepare(data.SMALL if options.quick else data.FULL)
    context = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(),
        "versions": {cases.OURS: versions(Path(sys.executable)), cases.RELEASED: versions(released)},
        "data": data.describe(root),
    }
    progress = Console(stderr=True, highlight=False)
    results = []
    wanted = set(options.only or names)
    chosen = _other_cases(root, released, quick=options.quick)
    if wanted.intersection(building.NAMES):  # laying them out makes their originals
        chosen = (*chosen, *building.building_cases(quick=options.quick))
    try:
        for case in chosen:
            if case.name not in wanted:
                continue
            if case.gpu and gpu_name() is None:
                progress.print(f"{case.name}: there is no GPU here; its row keeps what it had")
                results.append(result(case, {}, **context))
                continue
            if case.prepare is not None:
                case.prepare()
            rounds = options.rounds or (cases.QUICK_ROUNDS if options.quick else case.rounds)
            patience = 0 if options.quick else options.patience
            measured = measure(case, rounds, patience, progress.print)
            results.append(result(case, measured, **context))
    finally:
        data.remove_built()
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(terminal_table(results))
    for each in results:
        if remark := disturbed(each):
            console.print(remark, soft_wrap=True)
    if not options.quick:
        console.print(
            f"Written: {write_results(results, names)}, and a file for each case in {RESULTS}", soft_wrap=True
        )


def _other_cases(root: Path, released: Path, *, quick: bool) -> tuple[cases.Case, ...]:
    """Lay out all cases but those of building."""
    effort = cases.QUICK if quick else cases.FULL
    return (
        *loading_cases(root, released, effort, quick=quick),
        *training_cases(root, released, effort),
        *few_shot_cases(root, released, effort),
        *starting_cases(released),
        *download_cases(effort, quick=quick),
    )


if __name__ == "__main__":
    main()
