"""Where jobs run, as the config wants it.

In: the service.  Out: an executor.
"""

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.jobs.executors.executor import Executor
from modelgenerator.service.jobs.executors.local import LocalExecutor
from modelgenerator.service.jobs.executors.slots import slots_of
from modelgenerator.service.operations.service import Service


def executor_for(service: Service) -> Executor:
    """The one of the deployment.

    Raises:
        InvalidSettings: the config names one that is not there.
    """
    config = service.config
    if config.executor != "local":
        raise InvalidSettings(
            f"MODELGENERATOR_EXECUTOR={config.executor} is not there yet: set it to local, or "
            "leave it out."
        )
    return LocalExecutor(config, slots_of(service.gpus, config.device_slots))
