"""What the optimizers differ in, as far as a plan and a reader of the settings page need it.

In: the name of an optimizer.  Out: which settings it uses under which argument names, and which
learning rates suit it.  Settings are named by their attribute, as `weight_decay`.  Loads no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from modelgenerator.settings import OptimizerName


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerTraits:
    """One optimizer."""

    arguments: Mapping[str, str]
    """Setting -> argument of the optimizer.  It does not use the others of `OPTIMIZER_SETTINGS`."""
    preset_rate: float
    """The learning rate when none is given."""
    preset_reason: str = ""
    """Why that, where it is not the default that the settings publish."""
    advised_rate: float
    low_rate: float = 0.0
    high_rate: float = inf
    """Learning rates below and above are warned of."""
    own_rate_switches: tuple[str, ...] = ()
    """Arguments that are true just when no learning rate is given: then it brings its own, and no
    scheduler changes that."""
    finds_step_size: bool = False
    """Whether it estimates d, which multiplies the learning rate."""

    @property
    def step_size_settings(self) -> tuple[str, ...]:
        """What to raise when d does not grow."""
        return tuple(setting for setting in ("d0", "d_coef") if setting in self.arguments)


OPTIMIZER_SETTINGS = ("bias_correction", "weight_decay", "d0", "decouple", "d_coef")
"""Those that not every optimizer uses, and weight decay."""
ALWAYS_PASSED = ("bias_correction", "decouple")
"""To optimizers that use them, even when not given: the libraries' own defaults differ."""

_ADAMW = OptimizerTraits(
    arguments={"weight_decay": "weight_decay"},
    preset_rate=1e-4,
    preset_reason="1e-4 is used: the general default of 1 suits Prodigy and destroys AdamW.",
    advised_rate=1e-4,
    high_rate=0.01,
)
_D_ADAPTATION_ARGUMENTS = {"weight_decay": "weight_decay", "d0": "d0", "decouple": "decouple"}
_BIAS_CORRECTION = {"bias_correction": "use_bias_correction"}

OPTIMIZER_TRAITS: Mapping[OptimizerName, OptimizerTraits] = {
    OptimizerName.PRODIGY: OptimizerTraits(
        arguments=_D_ADAPTATION_ARGUMENTS | _BIAS_CORRECTION | {"d_coef": "d_coef"},
        preset_rate=1.0,
        advised_rate=1.0,
        finds_step_size=True,
    ),
    OptimizerName.ADAFACTOR: OptimizerTraits(
        arguments={"weight_decay": "weight_decay"},
        preset_rate=1.0,
        preset_reason="AdaFactor brings its own rate: 1 % of each matrix's size per step, after "
        "10,000 steps less. The scheduler has no effect on it; give learningRate (1e-4 is usual) "
        "to use both.",
        advised_rate=1e-4,
        high_rate=0.01,
        own_rate_switches=("relative_step", "scale_parameter"),
    ),
    OptimizerName.ADAMW: _ADAMW,
    OptimizerName.ADAMW_8BIT: _ADAMW,
    OptimizerName.DADAPTATION: OptimizerTraits(
        arguments=_D_ADAPTATION_ARGUMENTS,
        preset_rate=1.0,
        advised_rate=1.0,
        low_rate=0.1,
        finds_step_size=True,
    ),
    OptimizerName.DADAPT_ADAM: OptimizerTraits(
        arguments=_D_ADAPTATION_ARGUMENTS | _BIAS_CORRECTION,
        preset_rate=1.0,
        advised_rate=1.0,
        low_rate=0.1,
        finds_step_size=True,
    ),
}
