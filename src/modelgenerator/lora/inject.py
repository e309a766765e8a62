"""Put LoRA layers into models, and take them out again.

In: models by part ("unet", "text_encoder"), and which of their layers to correct.  Out: a
`LoraNetwork` whose parameters are views into one flat buffer, so that an optimizer step is a walk
over one tensor.  Knows no base model family: which class names hold the targets is the caller's
to say, with `TargetRule`s.

A model's tree is not touched: a corrected layer is the same object with the same keys and
parameters, only its `forward` is another one until the `with` block ends.
"""

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from modelgenerator.lora.layers import (
    LoraLayer,
    can_be_corrected,
    features,
    has_kernel,
    lora_layer,
)

Draw = Callable[[str, tuple[int, int]], Tensor]
"""(layer name, shape) -> fp32 numbers, uniform in [-1, 1)."""

ALIGNMENT = 16  # numbers: every matrix starts on a cache line


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A layer to correct, and how: delta W = alpha / rank * up * down."""

    layer: nn.Linear | nn.Conv2d
    rank: int
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetRule:
    """Which layers to correct: those inside modules of the class names `within`.

    Linear layers and 1x1 convolutions always, convolutions with a larger kernel if `kernels`.
    """

    within: tuple[str, ...]
    kernels: bool = False


def find_targets(module: nn.Module, *rules: TargetRule) -> dict[str, nn.Linear | nn.Conv2d]:
    """Every layer that one of the `rules` names and that can be corrected.

    Dotted names, rule after rule, in module order.
    Source: the rule of kohya-ss/sd-scripts, networks/lora.py, `create_modules`.
    """
    return {
        ".".join(name for name in (outer, inner) if name): layer
        for rule in rules
        for outer, block in module.named_modules()
        if type(block).__name__ in rule.within
        for inner, layer in block.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and _is_target(layer, rule)
    }


def _is_target(layer: nn.Linear | nn.Conv2d, rule: TargetRule) -> bool:
    return can_be_corrected(layer) and (rule.kernels or not has_kernel(layer))


def choose_targets(
    parts: Mapping[str, nn.Module],
    *,
    rules: Mapping[str, tuple[TargetRule, ...]],
    rank: int,
    alpha: float,
) -> dict[str, Target]:
    """The layers of all parts by `part.layer name`, in an order that only the models decide.

    A rank above a layer's smaller side is cut to that side: more could not be learned there.  Its
    alpha is cut alike, so that alpha / rank is the same everywhere.
    """
    targets: dict[str, Target] = {}
    for part in sorted(parts):
        for name, layer in find_targets(parts[part], *rules[part]).items():
            layer_rank = min(rank, *features(layer))
            targets[f"{part}.{name}"] = Target(
                layer=layer, rank=layer_rank, alpha=alpha * layer_rank / rank
            )
    return targets


class LoraNetwork:
    """All corrections of one LoRA: layers by name, numbers in two flat fp32 buffers.

    `values_N` holds all downs, then all ups; `gradients_N` lies alike, and backward adds into it
    in place.  A fresh network is zero: see `initialize` and `load_state`.
    """

    def __init__(
        self, targets: Mapping[str, Target], *, device: torch.device | None = None
    ) -> None:
        assert targets, "no layer to correct"
        self._targets = dict(targets)
        self._scale = 1.0
        shapes = _matrix_shapes(self._targets)
        length = sum(_padded(math.prod(shape)) for shape in shapes.values())
        device = device or next(iter(self._targets.values())).layer.weight.device
        self.values_N = torch.zeros(length, device=device)
        self.gradients_N = torch.zeros(length, device=device)
        self._parameters = self._views(shapes)
        self.layers: dict[str, LoraLayer] = {
            name: lora_layer(
                target.layer,
                down_RI=self._parameters[f"{name}.down"],
                up_OR=self._parameters[f"{name}.up"],
                scale=target.alpha / target.rank,
            )
            for name, target in self._targets.items()
        }

    def _views(self, shapes: Mapping[str, tuple[int, int]]) -> dict[str, nn.Parameter]:
        parameters: dict[str, nn.Parameter] = {}
        start = 0
        for name, shape in shapes.items():
            size = math.prod(shape)
            parameters[name] = nn.Parameter(self.values_N[start : start + size].view(shape))
            parameters[name].grad = self.gradients_N[start : start + size].view(shape)
            start += _padded(size)
        return parameters

    @property
    def matrices(self) -> list[tuple[int, tuple[int, int]]]:
        """Where each matrix begins in the flat buffers, and its shape; padding is in none."""
        return [
            (int(parameter.storage_offset()), (parameter.shape[0], parameter.shape[1]))
            for parameter in self._parameters.values()
        ]

    @property
    def parameter_count(self) -> int:
        """Trainable numbers, without the padding between matrices."""
        return sum(parameter.numel() for parameter in self._parameters.values())

    @property
    def targets(self) -> Mapping[str, Target]:
        return self._targets

    def cut_layers(self, rank: int) -> dict[str, int]:
        """The layers whose rank is below the `rank` that was asked for."""
        return {name: t.rank for name, t in self._targets.items() if t.rank < rank}

    @property
    def scale(self) -> float:
        """Strength of the whole LoRA: 1 as trained, 0 the base model exactly."""
        return self._scale

    @scale.setter
    def scale(self, scale: float) -> None:
        self._scale = scale
        for name, target in self._targets.items():
            self.layers[name].scale = scale * target.alpha / target.rank

    def initialize(self, draw: Draw) -> None:
        """Downs Kaiming-uniform (a = sqrt 5: within 1 / sqrt(inputs)), ups zero."""
        self.values_N.zero_()
        with torch.no_grad():
            for name, layer in self.layers.items():
                rank, inputs = layer.down_RI.shape
                layer.down_RI.copy_(draw(name, (rank, inputs))).mul_(inputs**-0.5)

    def zero_gradients(self) -> None:
        """Set all gradients to zero in place; `grad = None` would cut the views loose."""
        self.gradients_N.zero_()

    def state(self) -> dict[str, Tensor]:
        """A copy in main memory: `<layer>.down` and `<layer>.up`, fp32."""
        return {
            name: parameter.detach().to("cpu", copy=True)
            for name, parameter in self._parameters.items()
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take the numbers of `state`, which has exactly this network's names and shapes."""
        assert state.keys() == self._parameters.keys(), "the state belongs to another network"
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                assert parameter.shape == state[name].shape, name
                parameter.copy_(state[name])


@contextmanager
def injected(
    parts: Mapping[str, nn.Module],
    *,
    rules: Mapping[str, tuple[TargetRule, ...]],
    rank: int,
    alpha: float,
    draw: Draw,
) -> Generator[LoraNetwork, None, None]:
    """Correct `parts` with a fresh LoRA for the length of the `with` block.

    `rules` say for every part which layers are targets.  All other weights are frozen meanwhile.
    On leaving, by whatever way, `parts` are as before.
    """
    network = LoraNetwork(choose_targets(parts, rules=rules, rank=rank, alpha=alpha))
    network.initialize(draw)
    with attached(network, parts.values()):
        yield network


@contextmanager
def attached(network: LoraNetwork, models: Iterable[nn.Module]) -> Generator[None, None, None]:
    """Let the layers of `network` answer in place of the frozen layers of `models`."""
    models = tuple(models)
    modes = [(module, module.training) for model in models for module in model.modules()]
    gradients = [(p, p.requires_grad) for model in models for p in model.parameters()]
    bases = [layer.base for layer in network.layers.values()]
    assert not any("forward" in vars(base) for base in bases), "these layers are corrected already"
    try:
        for model in models:
            model.requires_grad_(False)
        for layer in network.layers.values():
            layer.base.forward = layer  # pyright: ignore[reportAttributeAccessIssue]
        yield
    finally:
        for base in bases:
            vars(base).pop("forward", None)
        for parameter, needed in gradients:
            parameter.requires_grad_(needed)
        for module, training in modes:
            module.training = training


def _matrix_shapes(targets: Mapping[str, Target]) -> dict[str, tuple[int, int]]:
    """All downs, then all ups: what an optimizer knows to start at zero lies together."""
    downs = {f"{n}.down": (t.rank, features(t.layer)[1]) for n, t in targets.items()}
    ups = {f"{n}.up": (features(t.layer)[0], t.rank) for n, t in targets.items()}
    return downs | ups


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
