"""What a benchmark of several measures has on its command line.

In: its description, and its measures by name.  Out: those that are asked for have printed their
tables, each in a folder of its own that is thrown away.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

Measure = Callable[[Path, bool], None]
"""In a folder; whether less of everything will do."""


def measure_chosen(description: str | None, measures: Mapping[str, Measure]) -> None:
    parser = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", nargs="+", choices=list(measures), default=list(measures))
    arguments = parser.parse_args()
    for name in arguments.only:
        print(f"\n{name}, load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
        with tempfile.TemporaryDirectory() as scratch:
            measures[name](Path(scratch), arguments.quick)
