"""Requests for pictures, the pictures, and packs of prompts."""

from sqlalchemy import UniqueConstraint

from modelgenerator.service.records.generations import GeneratedPicture, Inference, InferencePack
from modelgenerator.service.store.columns import belongs_to, kind_of, refers_to

INFERENCES = kind_of(
    Inference,
    "inferences",
    called="inference",
    trained_model_id=refers_to("trained_models.id"),
    job_id=refers_to("jobs.id"),
    flow_run_id=refers_to("flow_runs.id"),
)
GENERATED_PICTURES = kind_of(
    GeneratedPicture,
    "generated_pictures",
    UniqueConstraint("inference_id", "position"),
    called="generated picture",
    inference_id=belongs_to("inferences.id"),
)
INFERENCE_PACKS = kind_of(InferencePack, "inference_packs", called="inference pack")
