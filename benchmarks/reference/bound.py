"""A figure that is given, not measured, such as a bound on memory. Arguments: VALUE"""

from __future__ import annotations

import sys

from benchmarks.pace import tell

if __name__ == "__main__":
    tell(float(sys.argv[1]))
