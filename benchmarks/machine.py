"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from medimeta._processors import usable_processors


def describe_machine() -> dict[str, str]:
    """Return the processor, how many cores of it may be used, the memory and the system."""
    return {
        "processor": _processor(),
        "cores": str(usable_processors()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    facts = dict(map(str.strip, line.split(":", 1)) for line in reversed(lines) if ":" in line)
    name = facts.get("model name") or platform.processor() or "unknown"
    # What decides over bfloat16, and names of virtual processors do not tell.
    features = [feature for feature in ("avx512_bf16", "amx_bf16") if feature in facts.get("flags", "").split()]
    return f"{name} ({', '.join(features) or 'no bfloat16'})"


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{size / 2**30:.0f} GiB"
