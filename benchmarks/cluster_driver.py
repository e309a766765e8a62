"""What a question costs the process that speaks to Ray, which asks every running job.

In: seconds.  Out: questions a second, and the processor time of each in that process.  Actors
answer at once, with what a training says in a third of a second; the loop is that of `ray_driver`.
"""

import logging
import time
from pathlib import Path

from tests.clusters import ray_cluster

from modelgenerator.service.jobs.executors.ray_words import Heard
from modelgenerator.service.jobs.messages import Progressed

ACTORS = 4


def measure(folder: Path, seconds: int) -> None:
    del folder
    with ray_cluster(head_cpus=2) as machines:
        answered, wall, busy = _asked(machines.address, seconds)
    print("| actors | questions/s | ms of the driver's processor a question |")
    print("|---|---|---|")
    print(f"| {ACTORS} | {answered / wall:.0f} | {1e3 * busy / answered:.3f} |")


def _asked(address: str, seconds: int) -> tuple[int, float, float]:
    """Questions that were answered, seconds by the clock, and of this process' processor."""
    import ray

    ray.init(address=address, logging_level=logging.WARNING, log_to_driver=False)

    class Says:
        def hear(self) -> Heard:
            return Heard([Progressed({"step": 1, "totalSteps": 2, "loss": 0.08}, 1)] * 2)

    made = ray.remote(Says).options(num_cpus=0)
    asked = {actor.hear.remote(): actor for actor in [made.remote() for _ in range(ACTORS)]}
    ray.get(list(asked))
    answered, began, busy = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        ready, _ = ray.wait(list(asked), num_returns=1, timeout=0.05)
        ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=0)
        for question in ready:
            ray.get(question)
            actor = asked.pop(question)
            asked[actor.hear.remote()] = actor
            answered += 1
    took = time.perf_counter() - began, time.process_time() - busy
    ray.shutdown()
    return answered, *took
