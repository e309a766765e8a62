"""Storage, retention and receipts of deletions."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Response

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import VisitHere
from modelgenerator.service.operations import deletions, storage_use
from modelgenerator.service.operations.accounts import SESSION_LENGTH
from modelgenerator.service.operations.expiry import KEYS_ARE_KEPT
from modelgenerator.service.operations.form_uploads import UPLOADS_WAIT
from modelgenerator.service.operations.stored_addresses import LINK_LENGTH

router = APIRouter(route_class=PageRoute, include_in_schema=False)

_MODELS_SHOWN = 50
_ON_A_PAGE = 25
COUNTED: Mapping[str, str] = {
    "subjects": "Subjects",
    "datasets": "Datasets",
    "pictures": "Photos",
    "masks": "Masks",
    "snapshots": "Snapshots that trainings worked on",
    "trainings": "Trainings",
    "models": "Trained models",
    "inferences": "Requests for pictures",
    "generatedPictures": "Generated pictures",
    "files": "Files in the storage",
}
"""The counts of a receipt, as a person says them."""


def rules_of(config: ServiceConfig) -> list[tuple[str, str]]:
    """What is kept for how long here."""
    return [
        ("Photos, captions and masks", "until you delete their subject"),
        ("Photos uploaded for a flow that was never run", _days(UPLOADS_WAIT)),
        ("Trained models", f"{config.model_days} days, unless you extend them"),
        ("Models that a flow trained", f"{config.flow_model_days} days, unless you extend them"),
        ("Samples of a training", "until the training or its subject is deleted"),
        ("Generated pictures, archives", "until they or their subject are deleted"),
        ("Links to files", f"{LINK_LENGTH // timedelta(hours=1)} hour; the page makes new ones"),
        ("Sessions of browsers", _days(SESSION_LENGTH)),
        ("Keys of repeated requests", f"{KEYS_ARE_KEPT // timedelta(hours=1)} hours"),
        ("Ledger, receipts, what jobs cost", "always, without what you wrote"),
        ("Backups", "whoever runs this server decides; see below"),
    ]


def told_of(counts: Mapping[str, object]) -> list[tuple[str, object]]:
    """A receipt's counts in words; what was not there is left out."""
    return [(COUNTED.get(name, name), count) for name, count in counts.items() if count]


@router.get("/storage")
def storage(visit: VisitHere, cursor: str | None = None) -> Response:
    """What is kept, and what goes when."""
    service, caller = visit.service, visit.caller
    return visit.page(
        "storage/storage.html",
        use=storage_use.read_storage_use(service, caller),
        rules=rules_of(service.config),
        expiring=storage_use.list_expiring(service, caller, limit=_MODELS_SHOWN),
        soon=storage_use.SOON.days,
        longer=timedelta(days=service.config.model_days),
        receipts=storage_use.list_receipts(service, caller, cursor, limit=_ON_A_PAGE),
        calls=(
            Call("PATCH", "/v1/trainings/TRAINING_ID", {"expiresAt": "2027-12-31T12:00:00Z"}),
            Call("GET", "/v1/deletions/RECEIPT_ID"),
        ),
    )


@router.get("/deletions/{id}")
def receipt(visit: VisitHere, id: UUID) -> Response:
    """That something was deleted, to be printed."""
    found = deletions.read_receipt(visit.service, visit.caller, id)
    return visit.page(
        "storage/receipt.html",
        receipt=found,
        counts=told_of(found.counts),
        is_waiting=found.completed_at is None and not found.storage_prefixes,
        calls=(Call("GET", f"/v1/deletions/{id}"),),
    )


def _days(length: timedelta) -> str:
    return "1 day" if length.days == 1 else f"{length.days} days"
