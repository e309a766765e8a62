"""What is asked for, and how it went: for workers that draw and workers that only pass time."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from modelgenerator.service.billing.ledger import Ledger
from modelgenerator.service.records.clock import Clock
from modelgenerator.service.records.holds import Holds
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import Organization
from modelgenerator.service.store.database import Database

BASES, LORAS, WORKERS = 3, 20, 2
HEAD = (
    "| base models kept | asked for | by what is loaded | base and LoRA there | base there "
    "| loadings of a base | p50 s | p95 s | all s |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """One picture."""

    base: int
    lora: int
    organization: int

    @property
    def lora_name(self) -> str:
        return f"{self.base * LORAS + self.lora:064}"


def wishes(count: int) -> list[Wish]:
    """In an order that nobody chose; a LoRA belongs to one of two organizations."""
    chance = random.Random(7)
    drawn = [(chance.randrange(BASES), chance.randrange(LORAS)) for _ in range(count)]
    return [Wish(base, lora, lora % 2) for base, lora in drawn]


@dataclass
class Went:
    """How it went."""

    jobs: int = 0
    bases: int = 0
    both: int = 0
    seconds: list[float] = field(default_factory=list[float])
    """From the request to the picture."""

    def begun(self, holds: Holds, base_model: str | None, lora_sha256: str | None) -> None:
        """A job was given to a worker that holds these."""
        self.jobs += 1
        self.bases += holds.has(base_model, None)
        self.both += holds.has(base_model, lora_sha256)

    def row(self, kept: str, how: str, policy: str, took: float) -> str:
        """Of the table."""
        waits = sorted(self.seconds)
        p50, p95 = (waits[int(len(waits) * share)] for share in (0.5, 0.95))
        hits = f"{self.both / self.jobs:.1%} | {self.bases / self.jobs:.1%}"
        return (
            f"| {kept} | {how} | {policy} | {hits} | {self.jobs - self.bases} "
            f"| {p50:.1f} | {p95:.1f} | {took:.0f} |"
        )


def two_organizations(database: Database, clock: Clock) -> Sequence[UUID]:
    """With accounts."""
    ids = [new_id(clock()) for _ in range(2)]
    with database.transaction() as transaction:
        for id in ids:
            made = Organization(id=id, name="Household", created_at=clock())
            transaction.identities.add_organization(made)
            Ledger(transaction.of(id).accounts, clock()).open(1_000_000_000)
    return ids
