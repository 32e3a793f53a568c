"""This package against the released ``medimeta`` 0.0.6, and what the machine allows: same data, machine and run.

``python -m benchmarks`` from the root of the repository. Each side works in fresh processes of its own environment,
in turns, so that whatever else the machine does meets both alike. It reports, and asserts nothing.
"""
