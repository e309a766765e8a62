"""What an organization has, what it paid for, and what things cost.

In: who asks.  Out: sums and entries in whole microdollars; and credits, which an administrator
enters.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from modelgenerator.service.config import PriceList
from modelgenerator.service.errors import InvalidValue, in_dollars
from modelgenerator.service.operations.callers import Caller, earlier_answer, remember
from modelgenerator.service.operations.paying import ledger_of
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.works import Work, works_of_entries
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.money import Account, EntryKind, LedgerEntry
from modelgenerator.service.records.organizations import Organization, Role
from modelgenerator.service.store.scoped import LONGEST_PAGE, Page

LARGEST_CREDIT = 1_000_000_000_000
"""Microdollars: a million dollars."""


@dataclass(frozen=True, kw_only=True)
class ShownOrganization:
    """An organization and its money."""

    organization: Organization
    account: Account
    prices: PriceList
    is_charging: bool


@dataclass(frozen=True, kw_only=True)
class PaidFor:
    """An entry, and what it was for."""

    entry: LedgerEntry
    work: Work | None
    """None: a credit, or something that was deleted."""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What was paid, or came, for one kind of thing in one month."""

    month: str
    """`2026-11`, in UTC."""
    kind: EntryKind
    amount: int
    """Microdollars; negative when the organization paid."""
    entries: int


def read_organization(service: Service, caller: Caller) -> ShownOrganization:
    """Balance, what is held back of it, and prices."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        return ShownOrganization(
            organization=transaction.identities.organization(caller.organization_id),
            account=transaction.of(caller.organization_id).accounts.read(),
            prices=service.config.prices,
            is_charging=service.config.billing,
        )


def list_entries(
    service: Service,
    caller: Caller,
    cursor: str | None,
    *,
    limit: int,
    kind: EntryKind | None = None,
) -> Page[LedgerEntry]:
    """What came and went, the newest first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        entries = transaction.of(caller.organization_id).accounts.entries
        if kind is None:
            return entries.page(cursor, limit=limit)
        return entries.page(cursor, limit=limit, kind=kind)


def list_paid(
    service: Service,
    caller: Caller,
    cursor: str | None,
    *,
    limit: int,
    kind: EntryKind | None = None,
) -> Page[PaidFor]:
    """The same, each with what it was for."""
    page = list_entries(service, caller, cursor, limit=limit, kind=kind)
    with service.database.reading() as transaction:
        works = works_of_entries(transaction.of(caller.organization_id), page.items)
    paid = tuple(PaidFor(entry=entry, work=works.get(entry.id)) for entry in page.items)
    return Page(paid, page.next_cursor)


def spent_lately(service: Service, caller: Caller, over: timedelta) -> int:
    """Microdollars that were paid in the time before now, less what was given back."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        accounts = transaction.of(caller.organization_id).accounts
        return accounts.spent_since(service.clock() - over)[0]


def spending(service: Service, caller: Caller) -> list[Spent]:
    """Sums by month and kind, the newest month first."""
    caller.require(Role.VIEWER)
    with service.database.reading() as transaction:
        sums = transaction.of(caller.organization_id).accounts.by_month()
    return [
        Spent(month=month, kind=kind, amount=amount, entries=count)
        for month, kind, amount, count in sums
    ]


def ledger_as_csv(service: Service, caller: Caller) -> Iterator[str]:
    """All entries, the newest first, as lines for a spreadsheet."""
    caller.require(Role.VIEWER)
    return _lines(service, caller)


def add_credit(service: Service, caller: Caller, *, amount: int, memo: str = "") -> LedgerEntry:
    """Money that came in another way; a request with the same key adds it once.

    Raises:
        Forbidden: the caller is no administrator.
        InvalidValue: the amount is none, or is larger than a million dollars.
    """
    caller.require(Role.ADMIN)
    if not 0 < amount <= LARGEST_CREDIT:
        raise InvalidValue(
            f"amount is 1 to {LARGEST_CREDIT} microdollars, which is {in_dollars(LARGEST_CREDIT)}.",
            field="amount",
        )
    now = service.clock()
    with service.database.transaction() as transaction:
        store = transaction.of(caller.organization_id)
        if (earlier := earlier_answer(store, caller, now)) is not None:
            return store.accounts.entries.get(earlier)
        ledger = ledger_of(service, store, now)
        entry = ledger.credit(f"credit {new_id(now).hex}", amount, memo=memo or "Credit")
        remember(store, caller, entry.id)
    return entry


def _lines(service: Service, caller: Caller) -> Iterator[str]:
    yield _line("at", "kind", "microdollars", "balance", "memo", "job")
    cursor: str | None = None
    while True:
        page = list_entries(service, caller, cursor, limit=LONGEST_PAGE)
        for entry in page.items:
            yield _line(
                entry.created_at.isoformat(),
                entry.kind.value,
                entry.amount,
                entry.balance_after,
                _harmless(entry.memo),
                entry.job_id or "",
            )
        cursor = page.next_cursor
        if cursor is None:
            return


def _line(*cells: object) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()


def _harmless(memo: str) -> str:
    """A spreadsheet takes what begins like this for a formula, and runs it."""
    return f"'{memo}" if memo[:1] in ("=", "+", "-", "@", "\t", "\r") else memo
