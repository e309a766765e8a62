"""Which noise levels training visits, and how often.

In: uniform numbers.  Out: places between 0, the clean picture, and 1, nothing but noise.  Each
density is a rising function, so that one draw of a sample gives one place and nothing else is
random.  Pictures and base models are not known here.
"""

from collections.abc import Callable, Mapping

from torch import Tensor

from modelgenerator.diffusion.traits import UNIFORM_INTEGERS

Density = Callable[[Tensor], Tensor]
"""uniform_B in [0, 1) to places_B."""


def uniform(uniform_B: Tensor) -> Tensor:
    """Every level as often as any other."""
    return uniform_B


DENSITIES: Mapping[str, Density] = {UNIFORM_INTEGERS: uniform, "uniform": uniform}
