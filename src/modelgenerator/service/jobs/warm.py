"""What a process keeps in memory from one job to the next, so that a picture comes at once.

In: what was loaded.  Out: the same again.  It holds one base model; who needs the memory for
something else lets it forget.
"""

from collections import OrderedDict
from dataclasses import dataclass, field

from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.lora.files import LoraFile
from modelgenerator.training.out_of_memory import give_back_free_memory

LORAS_KEPT = 4
"""Each some megabytes."""


@dataclass
class Warm:
    """One base model and the LoRAs that were used last."""

    base: ModelFamily | None = None
    which: tuple[str, str, str] | None = None
    """Reference, revision and number format of `base`."""
    loras: OrderedDict[str, LoraFile] = field(default_factory=OrderedDict[str, LoraFile])
    """By SHA-256, the one that was used longest ago first."""

    def keep_base(self, which: tuple[str, str, str], base: ModelFamily) -> None:
        """In place of another."""
        self.which, self.base = which, base

    def lora(self, sha256: str) -> LoraFile | None:
        """If it is there."""
        if sha256 in self.loras:
            self.loras.move_to_end(sha256)
        return self.loras.get(sha256)

    def keep_lora(self, sha256: str, lora: LoraFile) -> None:
        """In place of the one that was used longest ago."""
        self.loras[sha256] = lora
        while len(self.loras) > LORAS_KEPT:
            self.loras.popitem(last=False)

    def forget(self) -> None:
        """Give all of its memory back."""
        self.base = self.which = None
        self.loras.clear()
        give_back_free_memory()


WARM = Warm()
"""Of this process."""
