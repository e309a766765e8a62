"""Which priorities people may ask for here.

In: the config, and what was asked.  Out: nothing, or a refusal.  What a priority means is in
`records.priorities`.
"""

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.records.priorities import Priority


def priorities_of(config: ServiceConfig) -> tuple[Priority, ...]:
    """Those that may be asked for."""
    highest = Priority(config.highest_priority)
    return tuple(one for one in Priority if one.rank <= highest.rank)


def check_priority(config: ServiceConfig, wanted: Priority) -> None:
    """
    Raises:
        InvalidValue: higher than what the operator lets people ask for.
    """
    allowed = priorities_of(config)
    if wanted not in allowed:
        said = " or ".join(allowed)
        raise InvalidValue(f"priority is {said} here, not {wanted}.", field="priority")
