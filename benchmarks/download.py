"""The cases of downloading: how fast one file comes, and whether two at once gain anything."""

from __future__ import annotations

from benchmarks.cases import OURS, Case, Comparison, Effort, ours, reference

MB = {"full": 400, "quick": 8}
SLOW_MB, SLOW_RATE = 8, 10  # MB, and MB a second of each connection
AT_ONCE, IN_TURN = "at once", "one after another"


def download_cases(effort: Effort, *, quick: bool) -> tuple[Case, ...]:
    """Lay out the cases; a server on loopback is started for each measurement."""
    size = MB["quick" if quick else "full"]
    return (
        Case(
            name="download",
            unit="MB/s",
            more_is_better=True,
            rounds=5,
            sides={
                OURS: ours("fetching", size, effort.seconds),
                "requests": reference("fetching", "requests", size, effort.seconds),
                "socket": reference("fetching", "socket", size, effort.seconds),
            },
            comparisons=(
                Comparison("fetch a file, against requests alone", OURS, "requests", target=1),
                Comparison("fetch a file, against a bare socket", OURS, "socket", target=0.9),
            ),
            note="A file from a server on loopback, read, hashed (MD5) and written. `requests` alone reads blocks of "
            "1 MB by `iter_content`; the bare socket receives into one buffer of that size, without any library. "
            "Neither of them resumes, tells how far it is, or waits for a slow server.",
        ),
        Case(
            name="download-two",
            unit="s",
            more_is_better=False,
            rounds=5,
            sides={
                AT_ONCE: ours("fetching", SLOW_MB, effort.seconds, SLOW_RATE, "2"),
                IN_TURN: ours("fetching", SLOW_MB, effort.seconds, SLOW_RATE, "1"),
            },
            comparisons=(Comparison("two files at once, against one after another", AT_ONCE, IN_TURN, target=1.8),),
            note=f"Two files of {SLOW_MB} MB from a server that gives each connection {SLOW_RATE} MB/s, as servers "
            f"that are far away do.",
        ),
    )
