"""Everything that can go wrong and that a caller may want to catch.

    ModelGeneratorError
    ├── UserError                    what a person can cause and mend: exit code 2
    │   ├── InvalidSettings          a setting is unknown, out of range, or contradicts another
    │   ├── UnusablePhoto            one photo cannot be read
    │   ├── UnusableMask             a mask cannot be read, does not fit its photo, or is all black
    │   ├── UnusableDataset          no photo survived preparation
    │   ├── BaseModelNotFound        no such repository, folder or built-in name
    │   ├── BaseModelGated           its licence is not accepted, or the token is missing
    │   ├── BaseModelUnsupported     found, but not a family or a file format that we train
    │   ├── HubUnreachable           the model hub does not answer
    │   ├── CaptionerUnavailable     no such captioner, not set up, or it does not do its work
    │   ├── UnusableLora             the file is not a LoRA, or not one for this base model
    │   ├── NotEnoughMemory          the training would not fit into this machine
    │   ├── InvalidFlow              a flow's definition cannot run as it is written
    │   ├── InvalidFlowInput         what a run was given does not fit the flow's form
    │   ├── UnresolvedTemplate       a path of a step leads nowhere, or a value does not fit
    │   ├── OutputNotWritable        the folder for results cannot be written, or the disk is full
    │   └── CannotResume             no checkpoint, or one that belongs to another training
    ├── TrainingDiverged             the loss became NaN or infinite
    └── TrainingProcessFailed        one of the processes that train together ended or went astray

The message is a fact in the user's words: what, where, and what to do next.  Programmer mistakes
are not here: those are `assert` and `TypeError`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any


class ModelGeneratorError(Exception):
    """Base of all errors raised on purpose by this package."""

    @property
    def code(self) -> str:
        """The error's name for machines: `BaseModelNotFound` is `baseModelNotFound`."""
        name = type(self).__name__
        return name[0].lower() + name[1:]


class UserError(ModelGeneratorError):
    """Something that the person who asked can mend."""


class InvalidSettings(UserError):
    """A hyperparameter is unknown, out of range, or contradicts another."""


class UnusablePhoto(UserError):
    """One photo cannot be read."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type["UnusablePhoto"], tuple[str, str]]:
        """How it is pickled: another process may have read the photo."""
        return type(self), (self.name, self.reason)


class UnusableMask(UserError):
    """A mask cannot be read, does not fit its photo, or is black all over."""


class UnusableDataset(UserError):
    """No photo survived preparation."""


class BaseModelNotFound(UserError):
    """No such repository, folder or built-in name."""


class BaseModelGated(UserError):
    """The repository's licence is not accepted, or the token is missing."""


class BaseModelUnsupported(UserError):
    """Found, but not a family or a file format that we train."""


class HubUnreachable(UserError):
    """The model hub does not answer."""


class CaptionerUnavailable(UserError):
    """No such captioner, not set up, or it does not do its work."""


class UnusableLora(UserError):
    """The file is not a LoRA, or not one for this base model."""


class NotEnoughMemory(UserError):
    """The training would not fit into this machine."""


class InvalidFlow(UserError):
    """A flow's definition cannot run as it is written."""

    def __init__(self, message: str, faults_as_json: Sequence[Mapping[str, object]] = ()) -> None:
        """`faults_as_json` are all of them for programs: pointer, code, message, hint."""
        super().__init__(message)
        self.faults_as_json = tuple(faults_as_json)


class InvalidFlowInput(UserError):
    """What a run was given does not fit the flow's form."""

    def __init__(self, message: str, faults_as_json: Sequence[Mapping[str, object]] = ()) -> None:
        """`faults_as_json` are all of them for programs: pointer, code, message, hint."""
        super().__init__(message)
        self.faults_as_json = tuple(faults_as_json)


class UnresolvedTemplate(UserError):
    """A path of a step leads nowhere, or an operator met a value that it cannot use."""

    def __init__(self, message: str, *, step: str, pointer: str) -> None:
        super().__init__(f"Step {step}, {pointer}: {message}" if step else f"{pointer}: {message}")
        self.reason = message
        self.step = step
        self.pointer = pointer


class OutputNotWritable(UserError):
    """The folder for results cannot be written, or the disk is full."""


class CannotResume(UserError):
    """No checkpoint, or one that belongs to another training."""


class TrainingDiverged(ModelGeneratorError):
    """The loss became NaN or infinite."""

    def __init__(self, *, step: int, pictures: Sequence[str]) -> None:
        super().__init__(
            f"The loss stopped being a finite number at step {step}, on {', '.join(pictures)}. "
            "Lower learningRate, or take these pictures out and train again."
        )
        self.step = step
        self.pictures = tuple(pictures)

    def __reduce__(self) -> tuple[Callable[[int, Sequence[str]], "TrainingDiverged"], Any]:
        """How it is pickled: another process may have found it."""
        return _diverged, (self.step, self.pictures)


def _diverged(step: int, pictures: Sequence[str]) -> TrainingDiverged:
    return TrainingDiverged(step=step, pictures=pictures)


class TrainingProcessFailed(ModelGeneratorError):
    """One of the processes that train one LoRA together ended, or has come to other numbers."""
