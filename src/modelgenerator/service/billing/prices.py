"""What work costs.  Money is a whole number of microdollars, rounded up once, at the end.

In: the price list that a job was accepted with, and how much of something there was.  Out:
microdollars.
"""

import math
from datetime import timedelta
from fractions import Fraction

from modelgenerator.service.config import PriceList

MEGABYTE = 1_000_000
_MINUTE = timedelta(minutes=1)


def training_charge(prices: PriceList, duration: timedelta) -> int:
    """A training that really trained for `duration`, to the microsecond.

    At the published price forty minutes cost 2_400_000, which is $2.40.
    """
    minutes = Fraction(duration // timedelta.resolution, _MINUTE // timedelta.resolution)
    return math.ceil(minutes * prices.training_minute)


def pictures_charge(prices: PriceList, count: int) -> int:
    """Generated pictures."""
    return count * prices.picture


def flow_run_charge(prices: PriceList, *, is_public: bool) -> int:
    """A run of a flow, beside what its steps cost."""
    return prices.public_run if is_public else prices.private_run


def object_transformer_charge(prices: PriceList) -> int:
    """One ObjectTransformer step."""
    return prices.object_transformer


def zipper_charge(prices: PriceList, byte_count: int) -> int:
    """One Zipper step that wrote an archive of this size.

    At the published prices 50 MB cost 185_000: 50 times 0.0035 and 0.01.
    """
    return math.ceil(Fraction(byte_count, MEGABYTE) * prices.zipper_megabyte) + prices.zipper


def object_generator_charge(prices: PriceList, tokens: int) -> int:
    """One ObjectGenerator step: what the language model read and wrote."""
    return tokens * prices.object_generator_token
