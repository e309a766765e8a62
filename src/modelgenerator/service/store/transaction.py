"""Everything that one transaction can read and change.

`transaction.of(organization_id)` are the records of one organization.  What has no organization to
name, because it finds out whose request it is or works for all, is named one by one.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, select

from modelgenerator.service.records.datasets import Dataset, Subject
from modelgenerator.service.records.deletions import DeletionReceipt
from modelgenerator.service.records.flows import Flow, FlowRun
from modelgenerator.service.records.generations import Inference, InferencePack
from modelgenerator.service.records.organizations import ApiKey, Member, Session
from modelgenerator.service.records.trainings import Template, TrainedModel
from modelgenerator.service.records.webhooks import WebhookEndpoint
from modelgenerator.service.store import (
    datasets,
    deletions,
    flows,
    generations,
    organizations,
    requests,
    trainings,
    webhooks,
)
from modelgenerator.service.store.accounts import Accounts
from modelgenerator.service.store.counts import LedgerCounts, ledger_counts
from modelgenerator.service.store.history import Place, Source, moments_before
from modelgenerator.service.store.job_ledger import JobLedger
from modelgenerator.service.store.organization_jobs import OrganizationJobs
from modelgenerator.service.store.rates import Rates
from modelgenerator.service.store.scoped import OrganizationScope, Records
from modelgenerator.service.store.servers import Servers
from modelgenerator.service.store.stored import StoredByKind, stored_by_kind


class OrganizationStore:
    """The records of one organization."""

    def __init__(self, scope: OrganizationScope) -> None:
        self.organization_id = scope.organization_id

        self.members: Records[Member] = Records(scope, organizations.MEMBERS)
        self.api_keys: Records[ApiKey] = Records(scope, organizations.API_KEYS)
        self.sessions: Records[Session] = Records(scope, organizations.SESSIONS)

        self.subjects: Records[Subject] = Records(scope, datasets.SUBJECTS)
        self.datasets: Records[Dataset] = Records(scope, datasets.DATASETS)
        self.pictures = datasets.Pictures(scope)
        self.snapshots = trainings.Snapshots(scope)

        self.templates: Records[Template] = Records(scope, trainings.TEMPLATES)
        self.template_versions = trainings.TemplateVersions(scope)
        self.trainings = trainings.Trainings(scope)
        self.trained_models = trainings.TrainedModels(scope)

        self.inferences: Records[Inference] = Records(scope, generations.INFERENCES)
        self.generated_pictures = generations.GeneratedPictures(scope)
        self.inference_packs: Records[InferencePack] = Records(scope, generations.INFERENCE_PACKS)

        self.flows: Records[Flow] = Records(scope, flows.FLOWS)
        self.flow_versions = flows.FlowVersions(scope)
        self.flow_runs = flows.FlowRuns(scope)
        self.step_results = flows.StepResults(scope)
        self.run_events = flows.RunEvents(scope)

        self.jobs = OrganizationJobs(scope)
        self.accounts = Accounts(scope)

        self.webhook_endpoints: Records[WebhookEndpoint] = Records(scope, webhooks.ENDPOINTS)
        self.webhook_deliveries = webhooks.Deliveries(scope)
        self.deletion_receipts: Records[DeletionReceipt] = Records(scope, deletions.RECEIPTS)
        self.idempotency_keys = requests.IdempotencyKeys(scope)
        self._scope = scope

    def stored(self) -> StoredByKind:
        """How much is kept, by kind."""
        return stored_by_kind(self._scope)

    def moments(
        self, before: Place | None, sources: Sequence[Source], *, limit: int
    ) -> list[Place]:
        """When what happened, the newest first, from before `before`."""
        return moments_before(self._scope, before, sources, limit)


class Transaction:
    """All or nothing of what is done with it is kept."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.identities = organizations.Identities(connection)
        self.jobs = JobLedger(connection)
        self.outbox = webhooks.Outbox(connection)
        self.rates = Rates(connection)
        self.servers = Servers(connection)

    def of(self, organization_id: UUID) -> OrganizationStore:
        """The records of one organization: whose it is comes from who asks, never from what."""
        return OrganizationStore(OrganizationScope(self._connection, organization_id))

    def public_flow(self, slug: str) -> Flow:
        """The flow at `/f/<slug>`, which anybody may see.

        Raises:
            NotFound: there is none, or it is not public.
        """
        return flows.public_flow(self._connection, slug)

    def slug_is_taken(self, slug: str, *, but_by: UUID | None = None) -> bool:
        """Whether another flow of any organization has, or had, this address."""
        return flows.slug_is_taken(self._connection, slug, but_by=but_by)

    def ready_runs(self, *, limit: int) -> list[FlowRun]:
        """Runs of all organizations whose next step can be begun, the oldest first."""
        return flows.ready_runs(self._connection, limit)

    def expired_datasets(self, now: datetime, *, limit: int = 100) -> list[Dataset]:
        """Datasets of all organizations that were uploaded for a run and never taken by one."""
        return datasets.expired_datasets(self._connection, now, limit)

    def expired_models(self, now: datetime, *, limit: int = 100) -> list[TrainedModel]:
        """Models of all organizations whose weights should be gone and are not."""
        return trainings.expired_models(self._connection, now, limit)

    def unfinished_deletions(self) -> list[DeletionReceipt]:
        """Receipts of all organizations whose files are not known to be gone."""
        return deletions.unfinished_deletions(self._connection)

    def counts(self) -> LedgerCounts:
        """How much there is of what."""
        return ledger_counts(self._connection)

    def answers(self) -> None:
        """Ask the database for nothing, to see whether it answers.

        Raises:
            StoreBusy: it does not.
        """
        self._connection.execute(select(1))

    def forget_idempotency_keys(self, before: datetime) -> int:
        """Delete the keys of all organizations that were first shown before then; how many."""
        return requests.forget_keys(self._connection, before)
