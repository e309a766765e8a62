"""How often is all loaded that a picture needs, and how long does it take to come?

    python benchmarks/warm.py                     # both, about ten minutes
    python benchmarks/warm.py --only simulated    # workers that only pass the time, two minutes

Three base models with twenty LoRAs each, asked for in random order by two organizations, two
workers.  The queue is the real one: once with what is loaded made known to it and once without.
"""

import os
from collections.abc import Mapping

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch, as jobs of the service have it

import warm_children
import warm_simulated
from chosen import Measure, measure_chosen

MEASURES: Mapping[str, Measure] = {
    "simulated": lambda folder, quick: warm_simulated.measure(folder, 120 if quick else 1_200),
    "children": lambda folder, quick: warm_children.measure(folder, 24 if quick else 240),
}


if __name__ == "__main__":
    measure_chosen(__doc__, MEASURES)
