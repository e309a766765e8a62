"""Numbers for Prometheus: requests as they are answered, and the ledger as it is when asked.

In: what the app counts, and the database.  Out: the text of `/metrics`.  No name of an
organization or of anything of its is in it.
"""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelgenerator.service.operations.service import Service
from modelgenerator.service.store.counts import LedgerCounts

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One for an app."""

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "modelgenerator_requests_total",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "modelgenerator_request_seconds",
            "Seconds from a request to the beginning of its answer.",
            ("method", "route"),
            registry=self._registry,
        )
        self._registry.register(_Ledger(service))

    def text(self) -> bytes:
        """All numbers now."""
        return generate_latest(self._registry)


class _Ledger(Collector):
    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        now = self._service.clock()
        with self._service.database.reading() as transaction:
            counts = transaction.counts()
        yield from _gauges(counts, now)


def _gauges(counts: LedgerCounts, now: datetime) -> Iterator[Metric]:
    jobs = GaugeMetricFamily(
        "modelgenerator_jobs", "Jobs in the ledger.", labels=("kind", "status")
    )
    for (kind, status), count in counts.jobs.items():
        jobs.add_metric((kind, status), count)
    yield jobs
    oldest = counts.oldest_queued_at
    waiting = 0.0 if oldest is None else (now - oldest).total_seconds()
    yield GaugeMetricFamily(
        "modelgenerator_oldest_queued_seconds", "How long the oldest job has waited.", waiting
    )
    yield GaugeMetricFamily(
        "modelgenerator_webhooks_pending", "Messages to be sent.", counts.pending_deliveries
    )
    yield GaugeMetricFamily(
        "modelgenerator_deletions_unfinished",
        "Deletions whose files are not all gone.",
        counts.unfinished_deletions,
    )
