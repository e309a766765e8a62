"""What a process keeps in memory from one job to the next, so that a picture comes at once.

In: what was loaded.  Out: the same again, until its room is needed: what was used longest ago goes
first.  Who needs the memory for something else lets it forget.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.lora.files import LoraFile
from modelgenerator.service.records.holds import Holds
from modelgenerator.training.free_memory import free_memory
from modelgenerator.training.out_of_memory import give_back_free_memory
from modelgenerator.training.this_machine import this_machine

SHARE_OF_BASE_MODELS = {"cuda": 0.6, "cpu": 0.25}
"""Of the memory that would be free without them, on a GPU the GPU's: the rest is for drawing, and
on a CPU for trainings, which run in other processes and cannot have it back.
"""
SHARE_OF_LORAS = 0.1
"""Of the machine's memory, where LoRAs are kept also for a GPU."""
MOST_LORAS = 100
"""Each claim of a job names them to the database."""
Which = tuple[str, str, str]
"""A base model: what the ledger calls it, its revision, the number format."""
Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")


class Shelf(Generic[Key, Thing]):
    """Things by key, the one that was used longest ago first."""

    def __init__(self, most: int | None = None) -> None:
        self._things: OrderedDict[Key, tuple[Thing, int]] = OrderedDict()
        self._most = most

    @property
    def keys(self) -> list[Key]:
        """The one that was used longest ago first."""
        return list(self._things)

    @property
    def byte_count(self) -> int:
        """Of all of them."""
        return sum(size for _, size in self._things.values())

    def get(self, key: Key) -> Thing | None:
        """If it is there; it is the one used last then."""
        if key not in self._things:
            return None
        self._things.move_to_end(key)
        return self._things[key][0]

    def make_room(self, size: int, room: float) -> None:
        """For `size` bytes more within `room`, as far as that is possible."""
        while self._things and (self.byte_count + size > room or len(self._things) == self._most):
            self._things.popitem(last=False)

    def keep(self, key: Key, thing: Thing, size: int, room: float) -> None:
        """Within `room` together with all others, or alone."""
        self._things.pop(key, None)
        self.make_room(size, room)
        self._things[key] = thing, size

    def keep_only(self, key: Key) -> bool:
        """Let all others go; whether there were any."""
        others = [one for one in self._things if one != key]
        for one in others:
            del self._things[one]
        return bool(others)

    def clear(self) -> None:
        """Let all go."""
        self._things.clear()


@dataclass
class Warm:
    """The base models and the LoRAs that were used last."""

    bases: Shelf[Which, ModelFamily] = field(default_factory=Shelf[Which, ModelFamily])
    loras: Shelf[str, LoraFile] = field(default_factory=lambda: Shelf[str, LoraFile](MOST_LORAS))
    """By SHA-256."""
    most_bytes: int | None = None
    """Of base models, where an operator says so; one is kept in any case."""
    loading_seconds: float = 0.0

    def holds(self) -> Holds:
        """In the words of the ledger."""
        return Holds(
            base_models=frozenset(called for called, _, _ in self.bases.keys),
            loras=frozenset(self.loras.keys),
            loading_seconds=self.loading_seconds,
        )

    def make_room_for_base(self, size: int) -> None:
        """Before it is loaded: about `size` bytes."""
        give_back_free_memory()
        self.bases.make_room(size, self._room_of_bases(self.bases.byte_count))
        give_back_free_memory()

    def keep_base(self, which: Which, base: ModelFamily, seconds: float) -> None:
        """Which took so long to load."""
        size = base.byte_count
        self.bases.keep(which, base, size, self._room_of_bases(self.bases.byte_count + size))
        self.loading_seconds = seconds

    def keep_lora(self, sha256: str, lora: LoraFile) -> None:
        """In place of those that were used longest ago."""
        size = sum(it.down_RI.nbytes + it.up_OR.nbytes for it in lora.corrections.values())
        free = (free_memory() or 0) + self.loras.byte_count
        self.loras.keep(sha256, lora, size, SHARE_OF_LORAS * free)

    def keep_only(self, which: Which) -> bool:
        """Give the memory of all other base models back; whether there were any."""
        had_others = self.bases.keep_only(which)
        give_back_free_memory()
        return had_others

    def forget(self) -> None:
        """Give all of its memory back."""
        self.bases.clear()
        self.loras.clear()
        give_back_free_memory()

    def _room_of_bases(self, kept: int) -> float:
        """Where `kept` bytes are taken by those that are there; without a word of the system there
        is room for one."""
        machine = this_machine()
        free, share = machine.free_bytes, SHARE_OF_BASE_MODELS[machine.kind]
        room = 0 if free is None else share * (free + kept)
        return room if self.most_bytes is None else min(room, self.most_bytes)


WARM = Warm()
"""Of this process."""
