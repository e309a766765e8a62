"""How far a request for pictures is, in words.

In: an inference as operations show it.  Out: sentences and places for its pictures.
"""

from dataclasses import dataclass

from modelgenerator.service.dashboard.job_phases import phase_in_words
from modelgenerator.service.errors import in_dollars
from modelgenerator.service.operations.inferences import ShownInference, ShownPicture
from modelgenerator.service.operations.paying import (
    OUR_FAULT,
    charged_sentence,
    hint_without_charge,
    is_our_fault,
)
from modelgenerator.service.records.jobs import JobStatus
from modelgenerator.service.records.trainings import JsonObject


@dataclass(frozen=True, slots=True)
class Place:
    """Where one picture is, or will be."""

    settings: JsonObject
    drawn: ShownPicture | None


@dataclass(frozen=True, slots=True)
class Drawing:
    """An inference for a page."""

    shown: ShownInference

    @property
    def is_over(self) -> bool:
        """Whether nothing changes any more."""
        return self.shown.job.status.is_final

    @property
    def places(self) -> list[Place]:
        """One a picture, in their order."""
        drawn = {one.picture.position: one for one in self.shown.pictures}
        images = self.shown.inference.images
        return [Place(image, drawn.get(number)) for number, image in enumerate(images)]

    @property
    def prompt(self) -> str:
        """Of the first picture."""
        return str(self.shown.inference.images[0]["prompt"])

    @property
    def training_id(self) -> str | None:
        """Whose model draws the first picture."""
        named = self.shown.inference.images[0].get("trainingId")
        return None if named is None else str(named)

    @property
    def part(self) -> float:
        """From 0 to 1."""
        return len(self.shown.pictures) / len(self.shown.inference.images)

    @property
    def sentence(self) -> str:
        """How it stands."""
        job, done, all_ = self.shown.job, len(self.shown.pictures), len(self.shown.inference.images)
        if self.shown.waiting is not None:
            return self.shown.waiting.message
        if job.status is JobStatus.RUNNING:
            if job.cancel_requested_at is not None:
                return "Is being cancelled; the picture that is begun is finished."
            if job.phase not in (None, "drawing"):
                return f"{phase_in_words(job).capitalize()}."
            return f"Drawing: {done} of {pictures(all_)} {'is' if done == 1 else 'are'} there."
        if job.status is JobStatus.SUCCEEDED:
            cost = f" for {in_dollars(self.shown.cost_so_far)}" if self.shown.cost_so_far else ""
            return f"{pictures(done)}{cost}."
        return f"{done} of {pictures(all_)} drawn. {self.charged}"

    @property
    def charged(self) -> str:
        """What it cost, where it did not go to its end."""
        return charged_sentence(self.shown.job, self.shown.cost_so_far)

    @property
    def hint(self) -> str | None:
        """What helps, where it failed."""
        error = self.shown.job.error
        return None if error is None else hint_without_charge(error.hint)

    @property
    def side(self) -> str:
        """Whose fault it is that it failed."""
        is_ours = is_our_fault(self.shown.job)
        return OUR_FAULT if is_ours else "This comes from what was asked for."


def pictures(count: int) -> str:
    """`1 picture`, `4 pictures`."""
    return "1 picture" if count == 1 else f"{count} pictures"
