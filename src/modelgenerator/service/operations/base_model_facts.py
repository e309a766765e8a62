"""What is known of one base model, for those who choose one.

In: who asks, and a name.  Out: what a look at it told; no weights are loaded or downloaded.
"""

from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import BaseModelNotFound
from modelgenerator.service.errors import NoSuchBaseModel
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.operations.service import Service
from modelgenerator.service.records.organizations import Role


def read_base_model(service: Service, caller: Caller, name: str) -> BaseModelFiles:
    """The base model called `name`, as settings call it.

    Raises:
        NoSuchBaseModel: there is none of that name.
        BaseModelGated, BaseModelUnsupported, HubUnreachable: see `hub.look_at`.
    """
    caller.require(Role.VIEWER)
    try:
        return service.base_models.look_at(name, service.clock())
    except BaseModelNotFound as error:
        raise NoSuchBaseModel(str(error)) from error
