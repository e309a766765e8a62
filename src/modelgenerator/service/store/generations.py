"""Requests for pictures, the pictures, and packs of prompts."""

from sqlalchemy import Index, UniqueConstraint, func, select

from modelgenerator.service.records.generations import GeneratedPicture, Inference, InferencePack
from modelgenerator.service.store.columns import belongs_to, kind_of, refers_to
from modelgenerator.service.store.scoped import OrganizationScope

INFERENCES = kind_of(
    Inference,
    "inferences",
    Index(None, "organization_id", "trained_model_id", "id"),
    called="inference",
    trained_model_id=refers_to("trained_models.id"),
    job_id=refers_to("jobs.id"),
    flow_run_id=refers_to("flow_runs.id"),
)
GENERATED_PICTURES = kind_of(
    GeneratedPicture,
    "generated_pictures",
    UniqueConstraint("inference_id", "position"),
    Index(None, "organization_id", "inference_id", "id"),
    called="generated picture",
    inference_id=belongs_to("inferences.id"),
)
INFERENCE_PACKS = kind_of(InferencePack, "inference_packs", called="inference pack")


def stored_bytes(scope: OrganizationScope) -> int:
    """Of all of an organization's generated pictures."""
    columns = GENERATED_PICTURES.table.columns
    total = select(func.sum(columns.byte_count))
    mine = total.where(columns.organization_id == scope.organization_id)
    return int(scope.connection.execute(mine).scalar_one() or 0)
