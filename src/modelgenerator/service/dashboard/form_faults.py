"""What is wrong with a form, said at the field that it is about.

In: an error that an operation raised, and the names of the form's fields.  Out: sentences by field.
An error that is about none of them is not the form's: it goes on as it came.
"""

from collections.abc import Collection

from modelgenerator.errors import ModelGeneratorError
from modelgenerator.service.errors import ServiceError

Faults = dict[str, str]


def faults_of(error: ServiceError, fields: Collection[str]) -> Faults:
    """The sentence for the field that `error` is about.

    Raises:
        ServiceError: `error` itself, which is about something else.
    """
    if error.field not in fields:
        raise error
    assert error.field is not None
    return {error.field: with_hint(error)}


def with_hint(error: ModelGeneratorError) -> str:
    """What is wrong, and what helps where that is known."""
    hint = error.hint if isinstance(error, ServiceError) else None
    return f"{error} {hint}" if hint else str(error)
