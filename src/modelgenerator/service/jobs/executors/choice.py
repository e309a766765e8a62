"""Where jobs run, as the config wants it.

In: the config, and the GPUs of this machine.  Out: an executor.
"""

from collections.abc import Sequence

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.executors.devices import Gpu
from modelgenerator.service.jobs.executors.executor import Executor
from modelgenerator.service.jobs.executors.local import LocalExecutor
from modelgenerator.service.jobs.executors.slots import slots_of


def executor_for(config: ServiceConfig, gpus: Sequence[Gpu]) -> Executor:
    """The one of the deployment.

    Raises:
        InvalidSettings: the config names one that is not there.
    """
    if config.executor != "local":
        raise InvalidSettings(
            f"MODELGENERATOR_EXECUTOR={config.executor} is not there yet: set it to local, or "
            "leave it out."
        )
    return LocalExecutor(config, slots_of(gpus, config.device_slots))
