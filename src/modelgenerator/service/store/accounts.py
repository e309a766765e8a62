"""Accounts, their ledger, and what is held back: rows and sums; the rules are in `billing`."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Index,
    UniqueConstraint,
    case,
    func,
    insert,
    select,
    update,
)

from modelgenerator.service.errors import NotFound
from modelgenerator.service.records.ids import oldest_id
from modelgenerator.service.records.money import Account, EntryKind, Hold, LedgerEntry
from modelgenerator.service.store.columns import kind_of, refers_to
from modelgenerator.service.store.scoped import OrganizationScope, Records, Unchanging

ACCOUNTS = kind_of(Account, "accounts", called="account", key=("organization_id",))
ENTRIES = kind_of(
    LedgerEntry,
    "ledger_entries",
    UniqueConstraint("organization_id", "key"),
    Index(None, "job_id"),
    called="ledger entry",
    job_id=refers_to("jobs.id"),
)
HOLDS = kind_of(
    Hold,
    "holds",
    UniqueConstraint("organization_id", "key"),
    called="hold",
    job_id=refers_to("jobs.id"),
)


class Accounts:
    """The account of one organization."""

    def __init__(self, scope: OrganizationScope) -> None:
        self._connection = scope.connection
        self._organization_id = scope.organization_id
        self.entries = Unchanging(scope, ENTRIES)
        self.holds = Records(scope, HOLDS)

    def open(self) -> None:
        """A new account with nothing in it."""
        empty = Account(organization_id=self._organization_id, balance=0, held=0)
        self._connection.execute(insert(ACCOUNTS.table).values(ACCOUNTS.row(empty)))

    def read(self, *, locked: bool = False) -> Account:
        """The account; `locked` lets nobody else change it until this transaction ends.

        Raises:
            NotFound: the organization has none.
        """
        table = ACCOUNTS.table
        query = select(table).where(table.columns.organization_id == self._organization_id)
        row = self._connection.execute(query.with_for_update() if locked else query).first()
        if row is None:
            raise NotFound(ACCOUNTS.called, self._organization_id)
        return ACCOUNTS.read(row)

    def replace(self, account: Account) -> None:
        """Remember other sums; the account was read with `locked`."""
        assert account.organization_id == self._organization_id, "another organization's"
        table = ACCOUNTS.table
        this = update(table).where(table.columns.organization_id == self._organization_id)
        self._connection.execute(this.values(balance=account.balance, held=account.held))

    def entries_under(self, keys: Iterable[str]) -> dict[str, LedgerEntry]:
        """The entries with these keys, by them, as far as they are there."""
        entry = ENTRIES.table.columns
        mine = entry.organization_id == self._organization_id
        query = select(ENTRIES.table).where(mine, entry.key.in_(list(keys)))
        return {row.key: ENTRIES.read(row) for row in self._connection.execute(query)}

    def by_month(self) -> list[tuple[str, EntryKind, int, int]]:
        """Month (UTC), kind, sum and number of all entries; the newest month first."""
        entry = ENTRIES.table.columns
        month = self._month(entry.created_at).label("month")
        query = (
            select(month, entry.kind, func.sum(entry.amount), func.count())
            .where(entry.organization_id == self._organization_id)
            .group_by(month, entry.kind)
            .order_by(month.desc(), entry.kind)
        )
        rows = self._connection.execute(query).all()
        return [(month, kind, int(amount), count) for month, kind, amount, count in rows]

    def spent_since(self, *moments: datetime) -> list[int]:
        """What was paid, less what came back, since each of these moments."""
        entry = ENTRIES.table.columns
        sums = (
            func.coalesce(func.sum(case((entry.created_at >= moment, -entry.amount), else_=0)), 0)
            for moment in moments
        )
        query = select(*sums).where(
            entry.organization_id == self._organization_id,
            entry.id >= oldest_id(min(moments)),
            entry.kind != EntryKind.CREDIT,
        )
        return [int(total) for total in self._connection.execute(query).one()]

    def _month(self, instant: Column[datetime]) -> ColumnElement[str]:
        if self._connection.dialect.name == "sqlite":
            return func.strftime("%Y-%m", instant)
        return func.to_char(func.timezone("UTC", instant), "YYYY-MM")

    def reword(self, job_id: UUID, memo: str) -> None:
        """Other words for what was paid for a job: the money stays as it is."""
        columns = ENTRIES.table.columns
        mine = columns.organization_id == self._organization_id
        these = update(ENTRIES.table).where(mine, columns.job_id == job_id)
        self._connection.execute(these.values(memo=memo))

    def sums(self) -> tuple[int, int]:
        """All entries together, and all open holds together: what the account must say."""
        entries, holds = ENTRIES.table.columns, HOLDS.table.columns
        balance = select(func.coalesce(func.sum(entries.amount), 0)).where(
            entries.organization_id == self._organization_id
        )
        held = select(func.coalesce(func.sum(holds.amount), 0)).where(
            holds.organization_id == self._organization_id, holds.released_at.is_(None)
        )
        return (
            int(self._connection.execute(balance).scalar_one()),
            int(self._connection.execute(held).scalar_one()),
        )
