"""The one place where errors become messages and exit codes.

Exit codes: 0 done; 1 problems found, in the data or on the machine; 2 the command was wrong; 130 ended by Ctrl-C.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from medimeta.errors import MedimetaError

DONE, PROBLEMS, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; a message on standard error says what went wrong."""
    import typer

    from medimeta.cli.app import app

    # Typer brings its own Click from some version on and shows only part of it: BadParameter -> UsageError -> this.
    click_exception: Any = typer.BadParameter.__mro__[2]
    try:
        code = app(list(arguments), prog_name="medimeta", standalone_mode=False)
    except (typer.Abort, KeyboardInterrupt):
        _tell("stopped by Ctrl-C. What was finished is kept; the same command goes on from there.")
        return INTERRUPTED
    except click_exception as error:
        error.show()
        return int(error.exit_code)
    except MedimetaError as error:
        _tell(f"error: {error}")
        return error.exit_code
    except BrokenPipeError:
        # The reader of a pipe, such as head, has seen enough.
        sys.stderr.close()
        return DONE
    return code if isinstance(code, int) else DONE


def _tell(message: str) -> None:
    sys.stdout.flush()
    sys.stderr.write(f"{message}\n")
