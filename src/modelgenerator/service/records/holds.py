"""What the processes that draw pictures have loaded: they say it, and a claim looks at it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """Base models and LoRAs that need no loading."""

    base_models: frozenset[str] = frozenset()
    """As `job_specs.base_model_key` calls them."""
    loras: frozenset[str] = frozenset()
    """By SHA-256."""
    loading_seconds: float = 0.0
    """That the base model which was loaded last took."""

    def and_soon(self, base_model: str | None, lora_sha256: str | None) -> "Holds":
        """With what a job is about to load, where it loads anything."""
        return replace(
            self,
            base_models=self.base_models | ({base_model} if base_model else set()),
            loras=self.loras | ({lora_sha256} if lora_sha256 else set()),
        )

    def has(self, base_model: str | None, lora_sha256: str | None) -> bool:
        """Whether a job that draws with these loads nothing."""
        has_lora = lora_sha256 is None or lora_sha256 in self.loras
        return base_model is None or (base_model in self.base_models and has_lora)


def together(holds: Iterable[Holds]) -> Holds:
    """What several have among them."""
    held = list(holds)
    return Holds(
        base_models=frozenset[str]().union(*(one.base_models for one in held)),
        loras=frozenset[str]().union(*(one.loras for one in held)),
        loading_seconds=max((one.loading_seconds for one in held), default=0.0),
    )


NOTHING = Holds()
