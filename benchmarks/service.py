"""How fast is the service, and does it stay so as an organization grows?

    python benchmarks/service.py                        # all of it, about ten minutes
    python benchmarks/service.py --quick                # less of everything, under a minute
    python benchmarks/service.py --only reads claims    # some of it

Real servers in processes of their own on folders that are thrown away.  What is compared takes
turns, so that a busy machine slows both.
"""

import os
from collections.abc import Mapping

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch, as jobs of the service have it

import service_claims
import service_events
import service_pictures
import service_reads
import service_uploads
from chosen import Measure, measure_chosen

READS = service_reads.Size(small=100, large=10_000, turns=5, requests=12)
QUICK_READS = service_reads.Size(small=20, large=500, turns=1, requests=4)
MEASURES: Mapping[str, Measure] = {
    "reads": lambda folder, quick: service_reads.measure(folder, QUICK_READS if quick else READS),
    "uploads": lambda folder, quick: service_uploads.measure(folder, 50 if quick else 1_000),
    "claims": lambda folder, quick: service_claims.measure(folder, 200 if quick else 10_000),
    "events": lambda folder, quick: service_events.measure(folder, 50 if quick else 200),
    "pictures": lambda folder, quick: service_pictures.measure(folder, 1 if quick else 5),
}


if __name__ == "__main__":
    measure_chosen(__doc__, MEASURES)
