"""In which size each picture is trained, and which are kept out of the training.

In: resolution and validationSplit as written, the pictures, and the sizes that the base model
takes.  Out: every picture with its bucket.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from modelgenerator.datasets.buckets import Size, bucket_sizes, is_upscaled, nearest_bucket
from modelgenerator.datasets.prepare import PreparedDataset
from modelgenerator.datasets.regions import Box
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import InvalidSettings
from modelgenerator.notices import Notice, listed
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.plan import PlannedPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What is decided of them."""

    resolution: int
    trained: tuple[PlannedPicture, ...]
    kept_out: tuple[PlannedPicture, ...]

    @property
    def buckets(self) -> list[Size]:
        """Of those that are trained."""
        return [picture.bucket for picture in self.trained]


def choose_pictures(
    settings: TrainingSettings,
    dataset: PreparedDataset,
    base: BaseModelFiles,
    seed: int,
    notices: list[Notice],
) -> Pictures:
    """Raises InvalidSettings: too large for the base model, or nothing left to train."""
    resolution = _resolution(settings, base, notices)
    planned = _planned(dataset, _buckets(dataset, resolution, base, notices))
    trained, kept_out = _split(planned, settings.validation_split, seed, notices)
    return Pictures(resolution=resolution, trained=trained, kept_out=kept_out)


def _resolution(settings: TrainingSettings, base: BaseModelFiles, notices: list[Notice]) -> int:
    if base.is_builtin and not settings.is_given("resolution"):
        message = f"{base.native_size} is used, the size of {base.reference}."
        notices.append(Notice("info", "resolution", message))
        return base.native_size
    step = base.size_step
    rounded = max(step, settings.resolution // step * step)
    if rounded != settings.resolution:
        message = f"{settings.resolution} became {rounded}: sides are multiples of {step} here."
        notices.append(Notice("info", "resolution", message))
    if rounded >= 2 * base.native_size:
        message = (
            f"{rounded} is {rounded / base.native_size:.0f} times the size that {base.reference} "
            f"was made for ({base.native_size}): subjects may appear doubled, and training "
            "takes much longer."
        )
        notices.append(Notice("warning", "resolution", message))
    if rounded < base.native_size / 2:
        message = (
            f"{rounded} is less than half of the size that {base.reference} was made for "
            f"({base.native_size}): it draws badly there, and fine features are not learnt."
        )
        notices.append(Notice("warning", "resolution", message))
    return rounded


def _buckets(
    dataset: PreparedDataset, resolution: int, base: BaseModelFiles, notices: list[Notice]
) -> list[Size]:
    longest = base.longest_side or 2 * resolution
    if resolution > longest:
        raise InvalidSettings(
            f"resolution {resolution}: {base.reference} knows no places beyond {longest} pixels. "
            f"Give {longest} or less; {base.native_size} is what it was made for."
        )
    sizes = [size for size in bucket_sizes(resolution, base.size_step) if max(size) <= longest]
    buckets = [nearest_bucket(p.width, p.height, sizes) for p in dataset.pictures]
    for picture, bucket in zip(dataset.pictures, buckets, strict=True):
        if is_upscaled(picture.width, picture.height, bucket):
            has = "is cut to" if picture.crop else "has only"
            message = (
                f"{picture.name} {has} {picture.width} x {picture.height} pixels and is "
                f"enlarged to {bucket[0]} x {bucket[1]}: a larger copy would teach more."
            )
            notices.append(Notice("warning", "resolution", message))
    return buckets


def _planned(dataset: PreparedDataset, buckets: Sequence[Size]) -> tuple[PlannedPicture, ...]:
    return tuple(
        PlannedPicture(
            name=p.name,
            sha256=p.sha256,
            caption=p.caption,
            bucket=bucket,
            crop=astuple(p.crop or Box(0, 0, p.width, p.height)),
        )
        for p, bucket in zip(dataset.pictures, buckets, strict=True)
    )


def _split(
    pictures: tuple[PlannedPicture, ...], share: float, seed: int, notices: list[Notice]
) -> tuple[tuple[PlannedPicture, ...], tuple[PlannedPicture, ...]]:
    """What is trained on, and what is kept out: at least one picture each."""
    if not share:
        return pictures, ()
    if len(pictures) == 1:
        raise InvalidSettings(
            "validationSplit keeps pictures out of the training, and there is only one picture: "
            "add pictures, or leave validationSplit out."
        )
    count = min(len(pictures) - 1, max(1, round(share * len(pictures))))
    drawn = set(sorted(pictures, key=lambda picture: _lot(seed, picture))[:count])
    kept_out = tuple(picture for picture in pictures if picture in drawn)
    message = f"Kept out of the training: {listed([picture.name for picture in kept_out])}."
    notices.append(Notice("info", "validationSplit", message))
    return tuple(picture for picture in pictures if picture not in drawn), kept_out


def _lot(seed: int, picture: PlannedPicture) -> str:
    """A random number that belongs to the picture, wherever it lies and whatever it is called.

    Like all randomness of a training a function of seed and purpose; made here because `randomness`
    loads torch.
    """
    return hashlib.sha256(f"{seed} validation {picture.sha256}".encode()).hexdigest()
