"""What Ray says of an actor that is gone, as its 2.60 says it, in our words."""

import pytest

pytest.importorskip("ray", reason="Ray is not installed: pip install 'modelgenerator[ray]'")

from ray.exceptions import ActorDiedError, ActorUnavailableError, RayTaskError

from modelgenerator.service.jobs.executors.ray_driver import _how, unfit
from modelgenerator.service.jobs.executors.ray_runner import MachineUnfit

DIED = "The actor died unexpectedly before finishing this task.\n\tclass_name: _OnRay\n"
OF_ITS_NODE = f"{DIED}The actor is dead because its node has died. Node Id: 0f"
OF_ITSELF = (
    f"{DIED}The actor is dead because its worker process has died. Some common causes include: (1) "
    "the process was killed by the OOM killer; consider to prevent node deaths by contention."
)
AT_ITS_CREATION = (
    "The actor died because of an error raised in its creation task, ray::_OnRay\n"
    "ModuleNotFoundError: No module named 'modelgenerator'\n"
)


class Said(ActorDiedError):
    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words

    def __str__(self) -> str:
        return self.words


UNFIT = RayTaskError("open", "trace", MachineUnfit("It has another version."))


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (Said(OF_ITS_NODE), "was lost together with its machine"),
        (Said(OF_ITSELF), "was ended from outside"),
        (ActorUnavailableError("away", b"\0" * 16), "cannot be reached any more"),
        (RayTaskError("open", "trace", OSError("No space.")), "could not begin (No space.)"),
    ],
)
def test_it_is_told_by_what(error, how):
    assert _how(error) == how
    assert unfit(error) is None


def test_a_machine_that_can_run_no_job_is_told_from_a_job_that_was_lost():
    assert unfit(UNFIT) == "It has another version."
    missing = "ModuleNotFoundError: No module named 'modelgenerator'"
    assert unfit(Said(AT_ITS_CREATION)) == missing
