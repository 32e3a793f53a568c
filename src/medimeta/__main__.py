"""``python -m medimeta``: the command line."""

from __future__ import annotations

import signal
import sys

from medimeta._interrupts import STOPPED


def main() -> None:
    """Run the command line and leave with its exit code."""
    try:
        from medimeta.cli.boundary import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before the command began: it tells of any other by itself
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stderr.write(f"{STOPPED}\n")
        code = 130
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what is left is to leave
    sys.exit(code)


if __name__ == "__main__":
    main()
