"""Captioners whose weights come from a model hub, at commits that do not move.

In: one of the names below.  Out: a captioner; its files are downloaded when they are first needed,
by the same way as a base model's.  Only safetensors weights are loaded, and no code that a
repository brings along.

Which commits these are was read, and the sizes with them, in public code that pins the same ones;
blip-image-captioning-base is not here because its weights are a pickle.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelgenerator.captioning.captioner import Describe
from modelgenerator.datasets.images import Photo
from modelgenerator.diffusion.detection import NeededFile
from modelgenerator.diffusion.downloads import DownloadFinished, DownloadProgress, download
from modelgenerator.diffusion.remote import Hub, Repository, ask
from modelgenerator.errors import (
    BaseModelGated,
    BaseModelNotFound,
    BaseModelUnsupported,
    CaptionerUnavailable,
    HubUnreachable,
)

if TYPE_CHECKING:  # it imports torch
    import torch

WEIGHTS = "model.safetensors"
LOADING_NEEDS = ("config.json", "preprocessor_config.json", "tokenizer.json", WEIGHTS)
"""Where these are, the rest that the hub lists at this commit is too: weights come last."""


@dataclass(frozen=True)
class HubModel:
    """What looks at the photos."""

    name: str
    repository: str
    commit: str
    megabytes: int
    licence: str
    prompt: str
    load: Callable[[Path, "torch.device"], Describe]


def _load_florence2(folder: Path, device: "torch.device") -> Describe:
    from modelgenerator.captioning.florence2 import load

    return load(folder, device)


def _load_blip(folder: Path, device: "torch.device") -> Describe:
    from modelgenerator.captioning.blip import load

    return load(folder, device)


HUB_MODELS = {
    model.name: model
    for model in (
        HubModel(
            name="florence2",
            repository="florence-community/Florence-2-base",
            commit="00921df66db728a9ceb750f5eca43e5c203a2051",
            megabytes=463,
            licence="mit",
            prompt="<DETAILED_CAPTION>",
            load=_load_florence2,
        ),
        HubModel(
            name="blip",
            repository="Salesforce/blip-image-captioning-large",
            commit="2227ac38c9f16105cb0412e7cab4759978a8fd90",
            megabytes=1880,
            licence="bsd-3-clause",
            prompt="",
            load=_load_blip,
        ),
    )
}
"""By name, the one to prefer first."""


class HubCaptioner:
    """A small vision network on this machine."""

    def __init__(self, model: HubModel, hub: Hub | None = None) -> None:
        self._model = model
        self._hub = hub or Hub()
        self._describe: Describe | None = None

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def revision(self) -> str:
        return f"{self._model.repository}@{self._model.commit}"

    @property
    def prompt(self) -> str:
        return self._model.prompt

    def is_here(self) -> bool:
        """Whether all that it needs is in the hub's cache on this machine."""
        return all((self._folder / name).is_file() for name in LOADING_NEEDS)

    def prepare(self) -> Generator[DownloadProgress, None, None]:
        if self._describe is not None:
            return
        with _told(self._model, self._hub):
            folder = yield from self._downloaded()
            self._describe = _loaded(self._model, folder)

    def describe(self, photo: Photo) -> str:
        assert self._describe is not None, "prepare comes first"
        return self._describe(photo)

    def close(self) -> None:
        if self._describe is None:
            return
        import torch

        self._describe = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def _folder(self) -> Path:
        return Repository(self._model.repository, self._model.commit, self._hub, {}).folder

    def _downloaded(self) -> Generator[DownloadProgress, None, Path]:
        if self.is_here():
            return self._folder
        files = _files_of(self._model, self._hub)
        for event in download(files, self._hub):
            if not isinstance(event, DownloadFinished):
                yield event
        return self._folder


@dataclass(frozen=True)
class _Files:
    """`downloads.WantedFiles` of a captioner."""

    reference: str
    repository: str
    revision: str
    needed: tuple[NeededFile, ...]
    folder: None = None

    @property
    def size_bytes(self) -> int:
        return sum(file.size for file in self.needed)


def _files_of(model: HubModel, hub: Hub) -> _Files:
    source, _ = ask(model.repository, model.commit, hub)
    sizes = {name: size for name, size in source.sizes.items() if "/" not in name}
    if WEIGHTS not in sizes:
        raise BaseModelUnsupported(f"it has no {WEIGHTS}")
    words = [name for name in sizes if name.endswith((".json", ".txt"))]
    needed = tuple(NeededFile(name, sizes[name]) for name in (*sorted(words), WEIGHTS))
    return _Files(model.name, model.repository, model.commit, needed)


_UNLOADABLE = (OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError)


def _loaded(model: HubModel, folder: Path) -> Describe:
    from safetensors import SafetensorError

    from modelgenerator.diffusion.load import this_device

    try:
        return model.load(folder, this_device())
    except (*_UNLOADABLE, SafetensorError) as problem:
        reason = str(problem).strip().partition("\n")[0].rstrip(".")
        raise CaptionerUnavailable(
            f"The captioner {model.name} in {folder} cannot be loaded: {reason}. Delete that "
            "folder to download it again, or use another: --captioner template"
        ) from problem


@contextmanager
def _told(model: HubModel, hub: Hub) -> Generator[None, None, None]:
    """What is said of base models, said of a captioner."""
    called = f"The captioner {model.name} ({model.repository} at {model.commit[:8]})"
    try:
        yield
    except HubUnreachable as problem:
        raise HubUnreachable(
            f"{called} is not on this machine, and the model hub at {hub.address} does not bring "
            "it. Check the network, HF_ENDPOINT and HF_HUB_OFFLINE, or use a captioner that needs "
            "no hub: --captioner template. What arrived is kept, and the next try goes on there."
        ) from problem
    except BaseModelNotFound as problem:
        raise CaptionerUnavailable(
            f"{called} is not at {hub.address}. Use another: --captioner template"
        ) from problem
    except (BaseModelGated, BaseModelUnsupported) as problem:
        raise CaptionerUnavailable(f"{called} cannot be used: {problem}") from problem
