"""Balance, ledger, prices."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Form, Response
from fastapi.responses import StreamingResponse

from modelgenerator.service.config import MICRODOLLARS_PER_DOLLAR, PriceList
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.form_faults import Faults, faults_of
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import Visit, VisitHere
from modelgenerator.service.errors import InvalidValue, in_dollars
from modelgenerator.service.operations import members, money
from modelgenerator.service.operations.money import Spent
from modelgenerator.service.records.money import EntryKind
from modelgenerator.service.records.organizations import Role

router = APIRouter(route_class=PageRoute, include_in_schema=False)

KINDS: Mapping[EntryKind, str] = {
    EntryKind.CREDIT: "Credit",
    EntryKind.TRAINING: "Training",
    EntryKind.PICTURES: "Pictures",
    EntryKind.FLOW_RUN: "Flow runs",
    EntryKind.OBJECT_TRANSFORMER: "ObjectTransformer steps",
    EntryKind.ZIPPER: "Zipper steps",
    EntryKind.OBJECT_GENERATOR: "ObjectGenerator steps",
    EntryKind.REFUND: "Refunds",
}
_WEEK = timedelta(days=7)
_ON_A_PAGE = 50
_CALLS = (
    Call("GET", "/v1/organization"),
    Call("GET", "/v1/organization/ledger?limit=50"),
    Call("POST", "/v1/organization/credits", {"amount": 5_000_000, "memo": "Invoice 7"}),
)


@dataclass(frozen=True, slots=True)
class Month:
    """What one month cost."""

    name: str
    """`2026-11`."""
    spent: int
    """Microdollars, less what was given back."""
    added: int
    by_kind: Mapping[EntryKind, int]
    """What was paid for each kind of work."""
    part: float
    """Of the dearest month that is shown: 0 to 1."""


@dataclass(frozen=True, slots=True)
class Burn:
    """How fast money goes."""

    a_day: int
    """Microdollars, over the last week."""
    days_left: int | None
    """None: it does not go at all, or what is there lasts more than a year."""


def months_of(spending: Iterable[Spent]) -> list[Month]:
    """The newest first."""
    by_month: dict[str, dict[EntryKind, int]] = defaultdict(dict)
    for one in spending:
        by_month[one.month][one.kind] = one.amount
    spent = {month: _spent(kinds) for month, kinds in by_month.items()}
    most = max([*spent.values(), 0])
    return [
        Month(
            name=month,
            spent=spent[month],
            added=kinds.get(EntryKind.CREDIT, 0),
            by_kind={kind: -amount for kind, amount in kinds.items() if kind != EntryKind.CREDIT},
            part=max(spent[month], 0) / most if most else 0.0,
        )
        for month, kinds in sorted(by_month.items(), reverse=True)
    ]


def burn_of(spent_in_a_week: int, available: int) -> Burn:
    """How long what is there lasts, if it goes on like the last week."""
    a_day = max(spent_in_a_week, 0) // 7
    days = available // a_day if a_day else None
    return Burn(a_day, days if days is not None and days <= 366 else None)


def prices_in_words(prices: PriceList) -> list[tuple[str, str, int]]:
    """What is paid for, by which measure, and microdollars."""
    return [
        ("Training", "a minute, counted in milliseconds", prices.training_minute),
        ("Picture", "each", prices.picture),
        ("Run of a private flow", "each", prices.private_run),
        ("Run of a public flow", "each, paid by the flow's organization", prices.public_run),
        ("ObjectTransformer step", "each", prices.object_transformer),
        ("Zipper step", "each", prices.zipper),
        ("Zipper step", "a megabyte that it writes", prices.zipper_megabyte),
        ("ObjectGenerator step", "a token", prices.object_generator_token),
    ]


def microdollars_in(text: str) -> int:
    """`5`, `$5.00` or `1,000` dollars in microdollars.

    Raises:
        InvalidValue: it is no amount of dollars that can be added.
    """
    try:
        amount = Decimal(text.strip().removeprefix("$").replace(",", "")) * MICRODOLLARS_PER_DOLLAR
    except ArithmeticError:  # no number, or one beyond all measure
        amount = Decimal("nan")
    if not amount.is_finite() or amount != amount.to_integral_value():
        raise InvalidValue("Write an amount of dollars, as 25 or 12.50.", field="amount")
    if not 0 < amount <= money.LARGEST_CREDIT:
        most = in_dollars(money.LARGEST_CREDIT)
        raise InvalidValue(f"The amount is more than $0 and at most {most}.", field="amount")
    return int(amount)


@router.get("/billing")
def billing(visit: VisitHere, cursor: str | None = None, kind: str = "") -> Response:
    """What is there, and where it went."""
    return _page(visit, cursor, kind)


@router.get("/billing/ledger.csv")
def ledger_csv(visit: VisitHere) -> StreamingResponse:
    """All of the ledger, for a spreadsheet."""
    headers = {"Content-Disposition": 'attachment; filename="ledger.csv"'}
    lines = money.ledger_as_csv(visit.service, visit.caller)
    return StreamingResponse(lines, 200, headers, "text/csv; charset=utf-8")


@router.post("/billing/credit")
def add_credit(
    visit: VisitHere,
    amount: Annotated[str, Form()] = "",
    memo: Annotated[str, Form()] = "",
) -> Response:
    """Money that came in another way."""
    visit.caller.require(Role.ADMIN)
    try:
        added = money.add_credit(
            visit.service, visit.caller, amount=microdollars_in(amount), memo=memo.strip()[:500]
        )
    except InvalidValue as error:
        faults = faults_of(error, ("amount",))
        return _page(visit, None, "", faults=faults, amount=amount, memo=memo, status=error.status)
    return visit.go("/billing", f"{in_dollars(added.amount)} added.")


def _page(
    visit: Visit,
    cursor: str | None,
    kind: str,
    *,
    faults: Faults | None = None,
    amount: str = "",
    memo: str = "",
    status: int = 200,
) -> Response:
    service, caller = visit.service, visit.caller
    chosen = EntryKind(kind) if kind in list(EntryKind) else None
    shown = money.read_organization(service, caller)
    months = months_of(money.spending(service, caller))
    return visit.page(
        "billing/billing.html",
        status=status,
        shown=shown,
        burn=burn_of(money.spent_lately(service, caller, _WEEK), shown.account.available),
        this_month=_this_month(visit, months),
        months=months[:24],
        kinds=KINDS,
        seen=[kind for kind in KINDS if any(kind in month.by_kind for month in months)],
        kind=chosen,
        ledger=money.list_paid(service, caller, cursor, limit=_ON_A_PAGE, kind=chosen),
        prices=prices_in_words(shown.prices),
        administrators=members.list_administrators(service, caller),
        faults=faults or {},
        written={"amount": amount, "memo": memo},
        calls=_CALLS if visit.may("admin") else _CALLS[:2],
    )


def _this_month(visit: Visit, months: Iterable[Month]) -> int:
    name = f"{visit.service.clock():%Y-%m}"
    return next((month.spent for month in months if month.name == name), 0)


def _spent(kinds: Mapping[EntryKind, int]) -> int:
    return -sum(amount for kind, amount in kinds.items() if kind != EntryKind.CREDIT)
