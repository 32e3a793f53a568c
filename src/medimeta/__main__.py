"""``python -m medimeta``: the command line."""

from __future__ import annotations

import signal
import sys

from medimeta._interrupts import STOPPED, as_it_came, exit_code, take_sigterm


def main() -> None:
    """Run the command line and leave with its exit code."""
    take_sigterm()
    try:
        from medimeta.cli.boundary import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before the command began: it tells of any other by itself
        _leave()
        sys.stderr.write(f"{as_it_came(STOPPED)}\n")
        code = exit_code()
    _leave()
    sys.exit(code)


def _leave() -> None:
    """Take no more notice of signals: what is left is to leave."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    main()
