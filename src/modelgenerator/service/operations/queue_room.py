"""How much work may wait for an organization, so that one cannot fill everybody's queue.

In: a store, in the transaction that adds work.  Out: nothing, or a refusal.
"""

from modelgenerator.service.errors import QueueFull
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.flows import RunStatus
from modelgenerator.service.records.jobs import JobStatus
from modelgenerator.service.store.transaction import OrganizationStore


def require_room(service: Service, store: OrganizationStore) -> None:
    """Of requests that come at the very same time a few more may pass on Postgres.

    Raises:
        QueueFull: as much waits as may.
    """
    jobs = store.jobs.count(status=JobStatus.QUEUED)
    runs = store.flow_runs.count(status=RunStatus.QUEUED)
    if jobs + runs >= service.config.queued_jobs:
        raise QueueFull(service.config.queued_jobs)
