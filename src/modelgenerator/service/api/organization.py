"""An organization's money over HTTP; all amounts are whole microdollars."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import StrictInt
from pydantic.alias_generators import to_camel

from modelgenerator.service.api.asking import CallerHere, ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Body, PageOf, PagingHere, Shape
from modelgenerator.service.errors import in_dollars
from modelgenerator.service.operations import money
from modelgenerator.service.records.money import EntryKind, LedgerEntry

router = APIRouter(prefix="/v1/organization", tags=["organization"])


class OrganizationShape(Shape):
    """An organization and what it has."""

    id: UUID
    name: str
    balance: int
    held: int
    """Of the balance, for work that is accepted and has not ended."""
    available: int
    """What new work may take."""
    balance_in_words: str
    """`$2.40`."""
    is_charging: bool
    """Whether work costs anything here."""
    prices: Mapping[str, int]


class EntryShape(Shape):
    """Money that came or went."""

    id: UUID
    kind: EntryKind
    amount: int
    """Negative when the organization paid."""
    balance_after: int
    memo: str
    job_id: UUID | None
    created_at: datetime


class NewCredit(Body):
    """Money that came in another way."""

    amount: StrictInt
    """Microdollars: 1000000 is a dollar."""
    memo: str = ""


class SpentShape(Shape):
    """What one kind of thing cost in one month."""

    month: str
    """`2026-11`, in UTC."""
    kind: EntryKind
    amount: int
    entries: int


@router.get("", responses=problems())
def read_organization(service: ServiceHere, caller: CallerHere) -> OrganizationShape:
    """The balance, what is held back of it, and prices."""
    shown = money.read_organization(service, caller)
    return OrganizationShape(
        id=shown.organization.id,
        name=shown.organization.name,
        balance=shown.account.balance,
        held=shown.account.held,
        available=shown.account.available,
        balance_in_words=in_dollars(shown.account.balance),
        is_charging=shown.is_charging,
        prices={to_camel(name): price for name, price in asdict(shown.prices).items()},
    )


@router.get("/ledger", responses=problems())
def list_ledger(
    service: ServiceHere,
    caller: CallerHere,
    paging: PagingHere,
    kind: Annotated[EntryKind | None, Query(description="Only entries of this kind")] = None,
) -> PageOf[EntryShape]:
    """What came and went, the newest first."""
    page = money.list_entries(service, caller, paging.cursor, limit=paging.limit, kind=kind)
    return PageOf[EntryShape].of(page, _entry)


@router.get(
    "/ledger.csv",
    responses={200: {"content": {"text/csv": {}}}, **problems()},
    response_class=StreamingResponse,
)
def ledger_as_csv(service: ServiceHere, caller: CallerHere) -> StreamingResponse:
    """All of the ledger, for a spreadsheet."""
    headers = {"Content-Disposition": 'attachment; filename="ledger.csv"'}
    lines = money.ledger_as_csv(service, caller)
    return StreamingResponse(lines, 200, headers, "text/csv; charset=utf-8")


@router.get("/spending", responses=problems())
def list_spending(service: ServiceHere, caller: CallerHere) -> list[SpentShape]:
    """Sums by month and kind, the newest month first."""
    return [
        SpentShape(month=one.month, kind=one.kind, amount=one.amount, entries=one.entries)
        for one in money.spending(service, caller)
    ]


@router.post("/credits", status_code=201, responses=problems())
def add_credit(service: ServiceHere, caller: CallerHere, body: NewCredit) -> EntryShape:
    """Add money; with an `Idempotency-Key`, a request that is sent again adds it once."""
    return _entry(money.add_credit(service, caller, amount=body.amount, memo=body.memo))


def _entry(entry: LedgerEntry) -> EntryShape:
    return EntryShape(
        id=entry.id,
        kind=entry.kind,
        amount=entry.amount,
        balance_after=entry.balance_after,
        memo=entry.memo,
        job_id=entry.job_id,
        created_at=entry.created_at,
    )
