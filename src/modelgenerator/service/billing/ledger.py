"""Who has paid for what: money is held back, charged once, given back once.

In: an account within a transaction, the time, and a key that names what is paid.  Out: entries,
which are never changed.  Whatever is asked twice with one key happens once.  What work costs is
not known here.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from modelgenerator.service.errors import InsufficientFunds
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.money import Account, EntryKind, Hold, LedgerEntry
from modelgenerator.service.store.accounts import Accounts


class Ledger:
    """The money of one organization.

    With `is_charging` false nothing is held or charged, and credits are still written down.
    """

    def __init__(self, accounts: Accounts, now: datetime, *, is_charging: bool = True) -> None:
        self._accounts = accounts
        self._now = now
        self._is_charging = is_charging

    def open(self, starting_balance: int) -> None:
        """Make the account of a new organization."""
        self._accounts.open()
        if starting_balance:
            self.credit("starting balance", starting_balance, memo="Starting balance")

    def credit(self, key: str, amount: int, *, memo: str) -> LedgerEntry:
        """Add money: the same key adds it once."""
        assert amount > 0, "a credit adds something"
        account = self._accounts.read(locked=True)
        earlier = self._accounts.entries.first(key=key)
        return earlier or self._enter(account, key, EntryKind.CREDIT, amount, None, memo)

    def hold(self, key: str, amount: int, *, job_id: UUID | None = None) -> Hold | None:
        """Keep `amount` back for work that is accepted; none where nothing is charged.

        Raises:
            InsufficientFunds: less than that is there and not held for other work.
        """
        assert amount >= 0, "nothing less than nothing is held"
        if not self._is_charging:
            return None
        account = self._accounts.read(locked=True)
        if (earlier := self._accounts.holds.first(key=key)) is not None:
            return earlier
        _refuse_more_than(account.available, amount)
        hold = Hold(
            id=new_id(self._now),
            organization_id=account.organization_id,
            key=key,
            amount=amount,
            job_id=job_id,
            created_at=self._now,
        )
        self._accounts.holds.add(hold)
        self._accounts.replace(replace(account, held=account.held + amount))
        return hold

    def hold_more(self, key: str, amount: int) -> Hold | None:
        """Keep `amount` more back for work that takes longer than was thought.

        Raises:
            InsufficientFunds: less than that is there and not held for other work.
        """
        assert amount >= 0, "a hold is not made smaller: it is released"
        account = self._accounts.read(locked=True)
        hold = self._open_hold(key)
        if hold is None:
            return None
        _refuse_more_than(account.available, amount)
        larger = replace(hold, amount=hold.amount + amount)
        self._accounts.holds.replace(larger)
        self._accounts.replace(replace(account, held=account.held + amount))
        return larger

    def held(self, key: str) -> int | None:
        """How much is held back under `key`; none where nothing is, or not any more."""
        hold = self._open_hold(key)
        return None if hold is None else hold.amount

    def release(self, key: str) -> None:
        """Give back what is held under `key`; nothing if it has been given back already."""
        account = self._accounts.read(locked=True)
        if (hold := self._open_hold(key)) is not None:
            self._close(account, hold)

    def charge(
        self, key: str, kind: EntryKind, amount: int, *, memo: str, job_id: UUID | None = None
    ) -> LedgerEntry | None:
        """Take `amount` now; none where nothing is charged.

        Raises:
            InsufficientFunds: less than that is there and not held for other work.
        """
        assert amount >= 0, "what is given back is a refund"
        if not self._is_charging:
            return None
        account = self._accounts.read(locked=True)
        if (earlier := self._accounts.entries.first(key=key)) is not None:
            return earlier
        _refuse_more_than(account.available, amount)
        return self._enter(account, key, kind, -amount, job_id, memo)

    def settle(
        self, hold_key: str, kind: EntryKind, amount: int, *, memo: str
    ) -> LedgerEntry | None:
        """Release a hold and take what the work really cost; none where nothing was held.

        What is neither held for it nor free is not taken: work that was done with what was there
        never leaves a debt.  The charge has the hold's key, so that it happens once.
        """
        assert amount >= 0, "work costs nothing less than nothing"
        account = self._accounts.read(locked=True)
        if (earlier := self._accounts.entries.first(key=hold_key)) is not None:
            return earlier
        hold = self._open_hold(hold_key)
        if hold is None:
            return None
        account = self._close(account, hold)
        taken = min(amount, account.available)
        return self._enter(account, hold_key, kind, -taken, hold.job_id, memo)

    def refund(self, charge_key: str, *, memo: str) -> LedgerEntry | None:
        """Give a charge back, whole and once; none if there was no charge."""
        account = self._accounts.read(locked=True)
        charge = self._accounts.entries.first(key=charge_key)
        if charge is None:
            return None
        assert charge.amount <= 0, "only a charge is given back"
        key = f"refund of {charge_key}"
        earlier = self._accounts.entries.first(key=key)
        return earlier or self._enter(
            account, key, EntryKind.REFUND, -charge.amount, charge.job_id, memo
        )

    def _open_hold(self, key: str) -> Hold | None:
        return self._accounts.holds.first(key=key, released_at=None)

    def _close(self, account: Account, hold: Hold) -> Account:
        self._accounts.holds.replace(replace(hold, released_at=self._now))
        account = replace(account, held=account.held - hold.amount)
        self._accounts.replace(account)
        return account

    def _enter(
        self,
        account: Account,
        key: str,
        kind: EntryKind,
        amount: int,
        job_id: UUID | None,
        memo: str,
    ) -> LedgerEntry:
        balance = account.balance + amount
        entry = LedgerEntry(
            id=new_id(self._now),
            organization_id=account.organization_id,
            key=key,
            kind=kind,
            amount=amount,
            balance_after=balance,
            job_id=job_id,
            memo=memo,
            created_at=self._now,
        )
        self._accounts.entries.add(entry)
        self._accounts.replace(replace(account, balance=balance))
        return entry


def faults(accounts: Accounts) -> Iterator[str]:
    """What does not add up in an account, in words; nothing if all is well."""
    account = accounts.read()
    entries, holds = accounts.sums()
    if account.balance != entries:
        yield f"the balance is {account.balance} and the entries add up to {entries}"
    if account.held != holds:
        yield f"{account.held} are held and the open holds add up to {holds}"
    if not 0 <= account.held <= account.balance:
        yield f"{account.held} are held of a balance of {account.balance}"


def _refuse_more_than(available: int, amount: int) -> None:
    if amount > available:
        raise InsufficientFunds(needed=amount, present=available)
