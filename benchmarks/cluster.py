"""What does a cluster cost, and how many machines does one ledger follow?

    python benchmarks/cluster.py                          # all of it, about fifteen minutes
    python benchmarks/cluster.py --quick                  # less of everything
    python benchmarks/cluster.py --only overhead queue    # some of it

Real executors, a real Ray cluster of one machine, real databases; all thrown away after it.  What
is compared takes turns or runs at the same time, so that a busy machine slows both: ratios count.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch, as jobs of the service have it
os.environ.setdefault("OMP_NUM_THREADS", "1")
# a Ray cluster on one machine, and an executor without processes, are there for tests
sys.path.append(str(Path(__file__).parents[1]))

import cluster_driver
import cluster_idle
import cluster_ledger
import cluster_overhead
import cluster_queue
from chosen import Measure, measure_chosen

MEASURES: Mapping[str, Measure] = {
    "overhead": lambda folder, quick: cluster_overhead.measure(folder, 1 if quick else 4),
    "queue": lambda folder, quick: cluster_queue.measure(folder, 300 if quick else 10_000),
    "idle": lambda folder, quick: cluster_idle.measure(folder, 5 if quick else 30),
    "driver": lambda folder, quick: cluster_driver.measure(folder, 3 if quick else 20),
    "ledger": lambda folder, quick: cluster_ledger.measure(folder, 20 if quick else 500),
}


if __name__ == "__main__":
    measure_chosen(__doc__, MEASURES)
