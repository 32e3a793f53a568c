"""The largest memory that a stretch of work took."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


def forget_peak() -> None:
    """Begin a stretch: peaks from before no longer count, where the system can forget them (GPUs; Linux)."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        _RESET.write_text("5")  # resets VmHWM (Linux, Documentation/filesystems/proc.rst)
    except OSError:
        return


def peak_megabytes(*, gpu: bool = False) -> float | None:
    """Return the peak in megabytes (10^6 bytes), of this process or of its GPU; None where the system cannot tell.

    Examples
    --------
    >>> peak_megabytes() > 10
    True
    """
    if gpu:
        return torch.cuda.max_memory_allocated() / 1e6
    try:
        lines = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024 / 1e6
    except (OSError, KeyError):
        return _peak_by_resource()


def _peak_by_resource() -> float | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
