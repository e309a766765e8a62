"""Whose fault it is that a job failed, and in which words it is told: one table.

In: what was raised where a job ran.  Out: `Failed`.  Ours costs nothing; for theirs the time that
was used is paid.  Nothing secret is repeated.
"""

import os
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modelgenerator.errors import (
    CannotResume,
    CaptionerUnavailable,
    HubUnreachable,
    ModelGeneratorError,
    NotEnoughMemory,
    OutputNotWritable,
    TrainingDiverged,
    TrainingProcessFailed,
    UserError,
)
from modelgenerator.service.errors import (
    FileDamaged,
    ServiceError,
    StorageFull,
    StorageUnreachable,
)
from modelgenerator.service.jobs.messages import Failed
from modelgenerator.service.records.jobs import Fault, JobError


class ObjectGeneratorUnavailable(ModelGeneratorError):
    """The language model does not answer."""


class ObjectGeneratorRefused(ModelGeneratorError):
    """The language model's server does not accept what it is asked."""


class ObjectsUnusable(ModelGeneratorError):
    """The language model wrote something that does not fit the schema."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    fault: Fault
    hint: str | None = None
    may_pass: bool = False
    message: str | None = None
    """Instead of the error's own, which speaks to somebody at this machine."""


_AGAIN = "Nothing was charged. Try again; what was kept is gone on from."
_VERDICTS: Mapping[type[BaseException], _Verdict] = {
    HubUnreachable: _Verdict(Fault.OURS, _AGAIN, may_pass=True),
    CaptionerUnavailable: _Verdict(
        Fault.OURS, "Nothing was charged. Write captions yourself, or choose another captioner."
    ),
    ObjectGeneratorUnavailable: _Verdict(Fault.OURS, _AGAIN, may_pass=True),
    ObjectGeneratorRefused: _Verdict(
        Fault.OURS,
        "Nothing was charged. Whoever runs this server must look at its "
        "MODELGENERATOR_OBJECT_GENERATOR_ variables.",
    ),
    ObjectsUnusable: _Verdict(
        Fault.THEIRS, "Make the schema simpler, or say in description what each member means."
    ),
    NotEnoughMemory: _Verdict(Fault.OURS),
    OutputNotWritable: _Verdict(
        Fault.OURS,
        "Nothing was charged. Whoever runs this server must make room; then try again.",
        message="The server's disk is full or cannot be written.",
    ),
    CannotResume: _Verdict(Fault.OURS, _AGAIN),
    TrainingDiverged: _Verdict(Fault.THEIRS),
    TrainingProcessFailed: _Verdict(Fault.OURS, _AGAIN, may_pass=True),
    StorageUnreachable: _Verdict(Fault.OURS, _AGAIN, may_pass=True),
    StorageFull: _Verdict(
        Fault.OURS,
        "Nothing was charged. Whoever runs this server must make room; then try again.",
    ),
    FileDamaged: _Verdict(Fault.OURS, "Nothing was charged. Upload the file again."),
    ServiceError: _Verdict(Fault.OURS, "Nothing was charged."),
    UserError: _Verdict(Fault.THEIRS),
    ModelGeneratorError: _Verdict(Fault.OURS, "Nothing was charged."),
}
"""The first line that an error is of counts, its own class before those that it is made from."""


def failed(error: BaseException, *, used_ms: int = 0) -> Failed:
    """What is told of a job that ended with `error`."""
    if not isinstance(error, ModelGeneratorError):
        trace = redacted("".join(traceback.format_exception(error)))
        return Failed(_internal(error), used_ms=used_ms, trace=trace)
    verdict = next(_VERDICTS[kind] for kind in type(error).__mro__ if kind in _VERDICTS)
    told = JobError(
        code=error.code,
        message=redacted(verdict.message or str(error)),
        fault=verdict.fault,
        hint=getattr(error, "hint", None) or verdict.hint,
    )
    return Failed(told, may_pass=verdict.may_pass, used_ms=used_ms)


def out_of_memory(doing: str) -> JobError:
    """Memory ran out; `doing` says at what, with the sizes that decide."""
    return JobError(
        code="outOfMemory",
        message=f"The memory of the machine ran out while {doing}.",
        fault=Fault.OURS,
        hint="Nothing was charged. Smaller pictures (resolution), a smaller batchSize or a smaller "
        "networkDim need less.",
    )


def crashed(how: str, last_lines: Iterable[str]) -> JobError:
    """The process that ran the job is gone; `how` says by what."""
    lines = [redacted(line) for line in last_lines]
    said = f" Its last words: {' | '.join(lines)}" if lines else ""
    return JobError(
        code="workerCrashed",
        message=f"The process that worked on it {how}.{said}",
        fault=Fault.OURS,
        hint=_AGAIN,
    )


def stalled(seconds: float, phase: str) -> JobError:
    """It stood still."""
    return JobError(
        code="stalled",
        message=f"Nothing went on for {seconds:.0f} seconds in the phase {phase}.",
        fault=Fault.OURS,
        hint=_AGAIN,
    )


def _internal(error: BaseException) -> JobError:
    words = redacted(str(error)).strip().splitlines()
    said = f": {words[0][:300]}" if words else ""
    return JobError(
        code="internalError",
        message=f"Something went wrong in the server ({type(error).__name__}{said}).",
        fault=Fault.OURS,
        hint="Nothing was charged. Whoever runs this server finds more in its log.",
    )


_SECRET_WORDS = ("TOKEN", "SECRET", "PASSWORD", "KEY")
_SHORTEST = 8


def redacted(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """`text` without the values of variables that hold a secret."""
    for name, value in environment.items():
        if len(value) >= _SHORTEST and any(word in name.upper() for word in _SECRET_WORDS):
            text = text.replace(value, "…")
    return text
