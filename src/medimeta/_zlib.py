"""zlib's names, from ISA-L where it is installed: the same bytes and checksums, sooner."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING or find_spec("isal") is None:  # no wheel for this machine
    from zlib import MAX_WBITS, crc32, decompressobj, error
else:
    from isal.isal_zlib import MAX_WBITS, crc32, decompressobj, error

__all__ = ["MAX_WBITS", "crc32", "decompressobj", "error"]
