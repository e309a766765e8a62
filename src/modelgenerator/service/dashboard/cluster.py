"""Machines: what there is, what runs where, and why the rest waits."""

from typing import Any

from fastapi import APIRouter, Response

from modelgenerator.service.dashboard import machine_words
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.dashboard.work_rows import row_of
from modelgenerator.service.operations.cluster import Cluster, read_cluster

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/cluster")
def cluster(visit: VisitHere) -> Response:
    """All of it."""
    return visit.page("cluster/cluster.html", calls=[Call("GET", "/v1/cluster")], **_seen(visit))


@router.get("/cluster/now")
def now(visit: VisitHere) -> Response:
    """The part of it that changes by itself, which is nearly all."""
    if not visit.is_partial:
        return visit.go("/cluster")
    return visit.page("cluster/now.html", **_seen(visit))


def _seen(visit: Visit) -> dict[str, Any]:
    seen = read_cluster(visit.service, visit.caller)
    return {"seen": seen, "words": machine_words, "row_of": row_of, "gpus": gpus_of(seen)}


def gpus_of(seen: Cluster) -> tuple[int, int]:
    """How many GPUs have a job, and how many there are."""
    marks = [mark for one in seen.machines for mark in machine_words.marks_of(one)]
    return marks.count(True), len(marks)
