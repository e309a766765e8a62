"""What a server says when it does not do what was asked, and that it does not answer.

UserError
├── ServerUnreachable        nobody answers at this address
├── WorkFailed               a training, a run or a request for pictures did not succeed
└── RequestRefused           4xx: the request, or what it asks for
    ├── NotLetIn             401, 403
    ├── InsufficientFunds    402
    ├── NotThere             404
    ├── InConflict           409
    ├── ModelGone            410
    └── TooManyRequests      429
ModelGeneratorError
└── ServerFailed             5xx
"""

from collections.abc import Mapping

from modelgenerator.errors import ModelGeneratorError, UserError

Json = Mapping[str, object]


class ServerUnreachable(UserError):
    """Nobody answers at this address: is the server running?"""


class WorkFailed(UserError):
    """What was asked for was begun, and did not succeed."""

    def __init__(self, what: str, record: Json) -> None:
        """`record` is the training, run or inference as the server shows it."""
        error = record.get("error")
        known: Json = error if isinstance(error, dict) else {}
        reason = known.get("message") or f"it is {record.get('status')}"
        hint = f" {known['hint']}" if known.get("hint") else ""
        super().__init__(f"The {what} did not succeed: {reason}{hint}")
        self.record = record


class _Answered(ModelGeneratorError):
    """What every refusal knows."""

    def __init__(self, status: int, problem: Json) -> None:
        detail = str(problem.get("detail") or f"The server answered {status}.")
        hint = problem.get("hint")
        super().__init__(f"{detail} {hint}" if hint else detail)
        self.status = status
        self.problem = problem
        """As problem+json: `code`, `field`, `hint`, `faults` and what else the error knows."""

    @property
    def code(self) -> str:
        """The server's name for it."""
        return str(self.problem.get("code") or "unknown")


class RequestRefused(_Answered, UserError):
    """The server does not do this."""


class NotLetIn(RequestRefused):
    """No valid key, or one that may not do this."""


class InsufficientFunds(RequestRefused):
    """The balance does not cover it."""


class NotThere(RequestRefused):
    """There is no such thing."""


class InConflict(RequestRefused):
    """It does not fit what is there."""


class ModelGone(RequestRefused):
    """The trained model has expired."""


class TooManyRequests(RequestRefused):
    """Asked too often, also after waiting."""


class ServerFailed(_Answered):
    """The server could not."""


_BY_STATUS: Mapping[int, type[RequestRefused]] = {
    401: NotLetIn,
    402: InsufficientFunds,
    403: NotLetIn,
    404: NotThere,
    409: InConflict,
    410: ModelGone,
    429: TooManyRequests,
}


def error_of(status: int, problem: Json) -> RequestRefused | ServerFailed:
    """The error that an answer is."""
    if status >= 500:
        return ServerFailed(status, problem)
    return _BY_STATUS.get(status, RequestRefused)(status, problem)
