"""A training on a server."""

from pathlib import Path
from typing import ClassVar, Literal

from modelgenerator.client.work import Work

Layout = Literal["kohya", "diffusers"]


class TrainingHandle(Work):
    """A training: wait for it, download its LoRA, draw with it."""

    resource: ClassVar[str] = "trainings"
    called: ClassVar[str] = "training"

    def resume(self) -> None:
        """Go on from the last checkpoint, when it failed or was cancelled."""
        self._connection.post(f"{self._path}/resume")

    def download(self, path: str | Path, *, layout: Layout | None = None) -> Path:
        """Write the LoRA to a file, or into a folder that is there; where it is.

        Raises:
            ModelGone: it has expired.
            InConflict: the training has not succeeded.
        """
        to, query = Path(path), f"?layout={layout}" if layout else ""
        if not to.is_dir():
            self._connection.save(f"{self._path}/model{query}", to)
            return to
        waiting = to / f"{self.id}.safetensors"
        name = self._connection.save(f"{self._path}/model{query}", waiting)
        return waiting.rename(to / name) if name else waiting
