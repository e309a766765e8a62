"""What each free slot of an executor knows of the others, so that no base model is loaded twice for
want of a moment's patience.

In: slots with what they hold, this server's or others'.  Out: the free ones, which know what is
beside them.
"""

from collections.abc import Sequence
from dataclasses import replace

from modelgenerator.service.jobs.executors.executor import Slot
from modelgenerator.service.jobs.messages import Assignment
from modelgenerator.service.records.holds import NOTHING, Holds, together
from modelgenerator.service.records.jobs import JobKind


def aware(free: Sequence[Slot], busy: Sequence[Slot]) -> list[Slot]:
    """`free`, in its order; those that draw nothing are as they were."""
    return aware_of_others(free, free, busy)


def aware_of_others(
    slots: Sequence[Slot], free: Sequence[Slot], busy: Sequence[Slot]
) -> list[Slot]:
    """`slots`, each with what it knew and what is in these, whoever's they are."""
    return [
        replace(slot, nearby=together([slot.nearby, _nearby(slot, free, busy)]))
        if JobKind.GENERATE in slot.kinds
        else slot
        for slot in slots
    ]


def held_during(assignment: Assignment, before: Holds) -> Holds:
    """By a process that begins it, until it says so itself; a training lets everything go."""
    if assignment.kind is JobKind.TRAIN:
        return NOTHING
    return before.and_soon(assignment.base_model, assignment.lora_sha256)


def _nearby(slot: Slot, free: Sequence[Slot], busy: Sequence[Slot]) -> Holds:
    """A LoRA is small: nobody waits for a busy slot because of one."""
    beside = together(other.holds for other in free if _can_stand_in(other, slot))
    working = together(other.holds for other in busy if _can_stand_in(other, slot))
    return replace(together([beside, working]), loras=beside.loras)


def _can_stand_in(other: Slot, slot: Slot) -> bool:
    """Whether it is another one that runs all pictures which `slot` can."""
    draws = JobKind.GENERATE in other.kinds
    has_room = other.gpus >= slot.gpus and other.gpu_memory >= slot.gpu_memory
    return other.name != slot.name and draws and has_room
