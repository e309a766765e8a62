"""How many of how many, and how sure that makes us."""

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    right: int
    total: int

    @property
    def share(self) -> float:
        return self.right / self.total if self.total else 0.0

    def __str__(self) -> str:
        return f"{100 * self.share:.0f} %" if self.total else "-"


def count(answers: Iterable[bool]) -> Count:
    said = list(answers)
    return Count(right=sum(said), total=len(said))


def together(counts: Iterable[Count]) -> Count:
    parts = list(counts)
    return Count(right=sum(c.right for c in parts), total=sum(c.total for c in parts))


def wilson(part: Count) -> tuple[float, float]:
    """The 95 % interval of a share.

    Source: Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953.
    """
    if part.total == 0:
        return 0.0, 1.0
    z, n, share = 1.959964, part.total, part.share
    middle = share + z * z / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    widened = 1 + z * z / n
    return max(0.0, (middle - reach) / widened), min(1.0, (middle + reach) / widened)
