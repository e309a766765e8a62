"""Pictures as a job; the base model stays loaded for the next one.

In: a `GenerateSpec`, the storage, a stop that may be asked for.  Out: messages, and each picture in
the storage below the attempt's own key.  How pictures are drawn is the library's.
"""

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from modelgenerator.diffusion import hub
from modelgenerator.diffusion.bringing import use_threads_for
from modelgenerator.diffusion.family import ModelFamily
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.diffusion.number_formats import drawing_dtype
from modelgenerator.generation.generate import GeneratedImage, generate
from modelgenerator.generation.picture_files import encoded
from modelgenerator.generation.wishes import PlannedImage, plan_images
from modelgenerator.lora import files as lora_files
from modelgenerator.lora.files import LoraFile
from modelgenerator.notices import Notice
from modelgenerator.service.jobs.base_models import loaded
from modelgenerator.service.jobs.bodies import Tools, kept
from modelgenerator.service.jobs.faults import failed, out_of_memory
from modelgenerator.service.jobs.messages import (
    Assignment,
    Failed,
    Message,
    Phase,
    PhaseBegun,
    PictureStored,
    Progressed,
    Said,
    Stopped,
    Succeeded,
    noticed,
)
from modelgenerator.service.jobs.warm import WARM, Which
from modelgenerator.service.records.job_specs import (
    DrawnPicture,
    GenerateSpec,
    LoraToLoad,
    PictureToDraw,
    base_model_key,
)
from modelgenerator.settings import ImageSettings
from modelgenerator.training.out_of_memory import give_back_free_memory, is_out_of_memory
from modelgenerator.training.this_machine import this_machine


def run(assignment: Assignment, tools: Tools) -> Generator[Said, None, None]:
    """One attempt at drawing pictures; those that earlier attempts drew are left out."""
    try:
        yield from _Drawing(assignment, tools).steps()
    except Exception as error:  # noqa: BLE001  whatever it is, the job ends with it
        is_too_much = is_out_of_memory(error)
        if is_too_much:
            WARM.forget()
        yield WARM.holds()
        yield Failed(out_of_memory("drawing")) if is_too_much else failed(error)


@dataclass(frozen=True)
class _Wanted:
    """A picture with every question answered."""

    written: PictureToDraw
    planned: PlannedImage


class _Drawing:
    def __init__(self, assignment: Assignment, tools: Tools) -> None:
        self._assignment, self._tools = assignment, tools
        self._spec = GenerateSpec.from_json(assignment.spec)
        gigabytes = tools.config.loaded_gigabytes
        WARM.most_bytes = None if gigabytes is None else int(gigabytes * 10**9)
        self._done = len(assignment.drawn)

    def steps(self) -> Generator[Said, None, None]:
        left = [one for one in self._spec.pictures if one.position not in self._assignment.drawn]
        for pictures in _alike(left):
            yield from self._round(pictures)
            if self._tools.stop.is_set():
                yield Stopped()
                return
        yield Succeeded({})

    def _round(self, pictures: Sequence[PictureToDraw]) -> Generator[Said, None, None]:
        """Those of one base model and one LoRA, which nothing here holds when it ends."""
        base_files = _looked_at(pictures[0])
        planned = [
            _Wanted(one, *plan_images([ImageSettings.from_written(one.settings)], base_files))
            for one in pictures
        ]
        which = _which(pictures[0], base_files)
        base = yield from self._base(which, base_files)
        lora = self._lora(pictures[0].lora)
        yield WARM.holds()
        yield from _about_unseen(planned, base)
        yield PhaseBegun(Phase.DRAWING)
        yield from self._drawn(planned, which, base, lora)

    def _base(self, which: Which, files: BaseModelFiles) -> Generator[Said, None, ModelFamily]:
        """The one that is loaded already, if it is that."""
        if (found := WARM.bases.get(which)) is not None:
            use_threads_for(files)
            return found
        WARM.make_room_for_base(files.size_bytes)
        base, seconds = yield from self._loaded(which, files)
        WARM.keep_base(which, base, seconds)
        return base

    def _loaded(
        self, which: Which, files: BaseModelFiles
    ) -> Generator[Said, None, tuple[ModelFamily, float]]:
        """And how long it took; where memory runs out, once more without the others."""
        _, _, dtype = which
        try:
            return (yield from _timed(loaded(files, dtype)))
        except Exception as error:
            if not (is_out_of_memory(error) and WARM.keep_only(which)):
                raise
        give_back_free_memory()  # also what was loaded so far, whose error is gone by now
        yield WARM.holds()
        return (yield from _timed(loaded(files, dtype)))

    def _lora(self, wanted: LoraToLoad | None) -> LoraFile | None:
        if wanted is None:
            return None
        if (found := WARM.loras.get(wanted.sha256)) is not None:
            return found
        file = self._tools.folder / f"{wanted.training_id.hex}.safetensors"
        self._tools.files.download(wanted.storage_key, file, sha256=wanted.sha256)
        lora = lora_files.load(file)
        file.unlink()
        WARM.keep_lora(wanted.sha256, lora)
        return lora

    def _drawn(
        self, wanted: Sequence[_Wanted], which: Which, base: ModelFamily, lora: LoraFile | None
    ) -> Iterator[Said]:
        """Where memory runs out, once more without the other base models."""
        done = self._done
        try:
            yield from self._drawn_at_once(wanted, base, lora)
        except Exception as error:
            if not (is_out_of_memory(error) and WARM.keep_only(which)):
                raise
        else:
            return
        give_back_free_memory()  # also what the attempt held, whose error is gone by now
        yield WARM.holds()
        yield from self._drawn_at_once(wanted[self._done - done :], base, lora)

    def _drawn_at_once(
        self, wanted: Sequence[_Wanted], base: ModelFamily, lora: LoraFile | None
    ) -> Iterator[Message]:
        images = generate([one.planned for one in wanted], base, lora)
        for one, image in zip(wanted, images, strict=True):
            yield PictureStored(self._stored(one.written, image))
            self._done += 1
            yield Progressed({"step": self._done, "totalSteps": len(self._spec.pictures)})
            if self._tools.stop.is_set():
                images.close()
                return

    def _stored(self, written: PictureToDraw, image: GeneratedImage) -> DrawnPicture:
        lora = None if written.lora is None else str(written.lora.training_id)
        content = encoded(image, written.format, base_model=written.base_model, lora=lora)
        name = f"{written.position:04}.{_ENDINGS[written.format]}"
        key = f"{self._spec.storage_prefix}/attempts/{self._assignment.name}/{name}"
        stored = kept(self._tools.files, key, content)
        request = image.planned.request
        return DrawnPicture(
            position=written.position,
            storage_key=stored.key,
            sha256=stored.sha256,
            byte_count=stored.byte_count,
            width=image.image.width,
            height=image.image.height,
            seed=request.seed,
            parameters={
                "prompt": request.prompt,
                "negativePrompt": request.negative_prompt,
                "steps": request.steps,
                "guidanceScale": request.guidance_scale,
                "scheduler": request.sampler,
                "loraScale": image.planned.lora_scale,
                "format": written.format,
                "baseModel": written.base_model,
                "trainingId": lora,
            },
        )


def _which(picture: PictureToDraw, files: BaseModelFiles) -> Which:
    machine = this_machine()
    dtype = drawing_dtype(files, kind=machine.kind, has_bf16=machine.has_bf16)
    return base_model_key(picture.base_model, picture.base_revision), files.full_revision, dtype


def _timed(
    steps: Generator[Message, None, ModelFamily],
) -> Generator[Message, None, tuple[ModelFamily, float]]:
    """And the seconds since it said something last, which is that all files are here."""
    while True:
        began = time.monotonic()
        try:
            message = next(steps)
        except StopIteration as end:
            return end.value, time.monotonic() - began
        yield message


def _about_unseen(wanted: Sequence[_Wanted], base: ModelFamily) -> Iterator[Message]:
    """Each prompt that is too long, once."""
    requests = [one.planned.request for one in wanted]
    for name, prompts in (
        ("prompt", [request.prompt for request in requests]),
        ("negativePrompt", [request.negative_prompt for request in requests]),
    ):
        for prompt in dict.fromkeys(prompts):
            if (unseen := base.unseen(prompt)) is not None:
                message = f"A {name} is too long: {unseen.in_words}"
                yield noticed(Notice("warning", name, message))


_ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp"}


def _alike(pictures: Sequence[PictureToDraw]) -> Iterator[list[PictureToDraw]]:
    """By base model, then by LoRA, so that each is loaded once; within, as they were asked for.

    What the first one draws with comes first: by it a job is given to whoever has that loaded.
    """
    groups: dict[str, dict[str | None, list[PictureToDraw]]] = {}
    for one in pictures:
        by_lora = groups.setdefault(base_model_key(one.base_model, one.base_revision), {})
        by_lora.setdefault(one.lora and one.lora.sha256, []).append(one)
    for by_lora in groups.values():
        yield from by_lora.values()


def _looked_at(picture: PictureToDraw) -> BaseModelFiles:
    commit = picture.base_revision or ""
    pinned = commit if hub.COMMIT.fullmatch(commit) else None
    return hub.look_at(picture.base_model, pinned=pinned)
