"""The HTTP status that says what an error says.

In: any error of ours.  Out: a number.  Whether it becomes JSON or a page is not known here.
"""

from modelgenerator.errors import (
    CaptionerUnavailable,
    HubUnreachable,
    ModelGeneratorError,
    UserError,
)
from modelgenerator.service.errors import ServiceError

_UNAVAILABLE = (HubUnreachable, CaptionerUnavailable)
EXPECTED = (503, 507)
"""What passes by itself or by the operator's hand, and where: its sentence says it."""


def status_of(error: ModelGeneratorError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, ServiceError):
        return error.status
    if isinstance(error, _UNAVAILABLE):
        return 503
    return 422 if isinstance(error, UserError) else 500
