"""Requests for pictures, the pictures, and packs of prompts."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Index, Select, UniqueConstraint, select

from modelgenerator.service.records.generations import GeneratedPicture, Inference, InferencePack
from modelgenerator.service.store.columns import belongs_to, kind_of, refers_to
from modelgenerator.service.store.scoped import OrganizationScope, Page, Unchanging

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


class GeneratedPictures(Unchanging[GeneratedPicture]):
    """What an organization has drawn."""

    def __init__(self, scope: OrganizationScope) -> None:
        super().__init__(scope, GENERATED_PICTURES)

    def listed(
        self,
        cursor: str | None = None,
        *,
        limit: int = 50,
        trained_model_id: UUID | None = None,
        but_of: Sequence[UUID] = (),
    ) -> Page[GeneratedPicture]:
        """As `page`: those of one model, and none of the inferences `but_of`.

        Raises:
            InvalidValue: see `page`.
        """
        query = self._select() if trained_model_id is None else self._drawn_by(trained_model_id)
        if but_of:
            query = query.where(self._columns.inference_id.not_in(but_of))
        return self._page(query, cursor, limit)

    def _drawn_by(self, trained_model_id: UUID) -> Select[Any]:
        """By way of the inferences, which are fewer than all pictures of the organization."""
        inference = INFERENCES.table.columns
        theirs = select(inference.id).where(
            inference.organization_id == self._scope.organization_id,
            inference.trained_model_id == trained_model_id,
        )
        return select(GENERATED_PICTURES.table).where(self._one_of("inference_id", theirs))
