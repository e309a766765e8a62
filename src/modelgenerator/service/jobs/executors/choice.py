"""Which executor runs the jobs of a deployment: one table.

In: the service.  Out: the executor that its config names, ready to use.
"""

from collections.abc import Callable, Mapping

from modelgenerator.service.config import ExecutorName
from modelgenerator.service.jobs.executors.executor import Executor
from modelgenerator.service.jobs.executors.local import LocalExecutor
from modelgenerator.service.jobs.executors.ray import RayExecutor
from modelgenerator.service.jobs.executors.slots import slots_of
from modelgenerator.service.operations.service import Service


def executor_for(service: Service) -> Executor:
    """
    Raises:
        InvalidSettings: what it needs is not there.
    """
    return _EXECUTORS[service.config.executor](service)


def _local(service: Service) -> LocalExecutor:
    """One job at a time on each device, or as many as the operator says."""
    slots = slots_of(service.gpus, service.config.device_slots)
    return LocalExecutor(service.config, slots, gpus=service.gpus)


def _ray(service: Service) -> RayExecutor:
    return RayExecutor(service.config)


_EXECUTORS: Mapping[ExecutorName, Callable[[Service], Executor]] = {"local": _local, "ray": _ray}
