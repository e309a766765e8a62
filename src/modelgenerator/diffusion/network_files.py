"""Single files of a model hub that are checked against a known hash, such as segmenters' networks.

In: which file, at which commit.  Out: where it lies on this machine.  What it is for is not known.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Protocol

from modelgenerator.diffusion.remote import Hub, Repository
from modelgenerator.errors import BaseModelGated, BaseModelNotFound, HubUnreachable


class KnownFile(Protocol):
    """A file whose content is known."""

    @property
    def repository(self) -> str: ...
    @property
    def file(self) -> str: ...
    @property
    def revision(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def size_bytes(self) -> int: ...


class HubNetworkFiles:
    """Such files on one hub, and in its cache on this machine."""

    def __init__(self, hub: Hub | None = None) -> None:
        self._hub = hub or Hub()

    def cached(self, file: KnownFile, /) -> Path | None:
        """Where it lies here; none if it does not, or has another content."""
        path = self._repository(file).folder / file.file
        return path if path.is_file() and _sha256(path) == file.sha256 else None

    def fetch(self, file: KnownFile, /) -> Path:
        """Download it unless it is here.

        Raises:
            HubUnreachable: the hub does not answer, does not have it, or has another content.
            OutputNotWritable: its cache cannot be written.
        """
        if (path := self.cached(file)) is not None:
            return path
        address, wanted = self._hub.address, f"{file.file} of {file.repository}"
        instead = "Choose another segmenter, or leave the choice to auto."
        try:
            path = self._repository(file).fetch(file.file)
        except (BaseModelNotFound, BaseModelGated) as problem:
            raise HubUnreachable(
                f"{address} does not give {wanted} at revision {file.revision}. {instead}"
            ) from problem
        except HubUnreachable as problem:
            raise HubUnreachable(
                f"The model hub at {address} does not answer, and {wanted} "
                f"({file.size_bytes / 1e6:.0f} MB) is not on this machine. Check the network, "
                f"HF_ENDPOINT and HF_HUB_OFFLINE. {instead}"
            ) from problem
        if _sha256(path) != file.sha256:
            raise HubUnreachable(
                f"{wanted} at {address} is not the file that is known here: its SHA-256 is not "
                f"{file.sha256}. It is not used. {instead}"
            )
        return path

    def _repository(self, file: KnownFile) -> Repository:
        return Repository(file.repository, file.revision, self._hub, {file.file: file.size_bytes})


def _sha256(path: Path) -> str:
    found = path.stat()
    return _sha256_of(path, found.st_size, found.st_mtime_ns)


@cache
def _sha256_of(path: Path, size: int, changed: int) -> str:  # noqa: ARG001
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
