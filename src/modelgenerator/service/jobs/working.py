"""Jobs run here, from the start of a server to its end.

In: the service.  Out: an executor as the config wants it, and a dispatcher that keeps it busy.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from modelgenerator.errors import InvalidSettings
from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.dispatcher import Dispatcher
from modelgenerator.service.jobs.executors.devices import Gpu
from modelgenerator.service.jobs.executors.executor import Executor
from modelgenerator.service.jobs.executors.local import LocalExecutor
from modelgenerator.service.jobs.executors.slots import slots_of
from modelgenerator.service.operations.service import Service


@contextmanager
def working(service: Service, gpus: Sequence[Gpu]) -> Generator[Dispatcher, None, None]:
    """Claim and run jobs until the block ends; then hand back what runs, within a minute.

    Raises:
        InvalidSettings: the config names an executor that is not there.
    """
    dispatcher = Dispatcher(service, _executor(service.config, gpus))
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()


def _executor(config: ServiceConfig, gpus: Sequence[Gpu]) -> Executor:
    if config.executor != "local":
        raise InvalidSettings(
            f"MODELGENERATOR_EXECUTOR={config.executor} is not there yet: set it to local, or "
            "leave it out."
        )
    return LocalExecutor(config, slots_of(gpus, config.device_slots))
