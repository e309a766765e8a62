"""How often is all loaded that a picture needs, and how long does it take to come?

    python benchmarks/warm.py                     # both, about ten minutes
    python benchmarks/warm.py --only simulated    # workers that only pass the time, two minutes

Three base models with twenty LoRAs each, asked for in random order by two organizations, two
workers.  The queue is the real one: once with what is loaded made known to it and once without.
"""

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch, as jobs of the service have it

import warm_children
import warm_simulated

MEASURES: Mapping[str, Callable[[Path, bool], None]] = {
    "simulated": lambda folder, quick: warm_simulated.measure(folder, 120 if quick else 1_200),
    "children": lambda folder, quick: warm_children.measure(folder, 24 if quick else 240),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="less of everything")
    parser.add_argument("--only", nargs="+", choices=list(MEASURES), default=list(MEASURES))
    arguments = parser.parse_args()
    for name in arguments.only:
        print(f"\n{name}, load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores\n")
        with tempfile.TemporaryDirectory() as scratch:
            MEASURES[name](Path(scratch), arguments.quick)


if __name__ == "__main__":
    main()
