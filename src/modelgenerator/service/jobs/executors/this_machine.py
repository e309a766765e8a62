"""The executor of this machine: its slots, and a child process for each.

In: the service.  Out: an executor that nobody has to set up.
"""

from modelgenerator.service.jobs.executors.local import LocalExecutor
from modelgenerator.service.jobs.executors.slots import slots_of
from modelgenerator.service.operations.service import Service


def executor_on_this_machine(service: Service) -> LocalExecutor:
    """One job at a time on each device, or as many as the operator says."""
    return LocalExecutor(service.config, slots_of(service.gpus, service.config.device_slots))
