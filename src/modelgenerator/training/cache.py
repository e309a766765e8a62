"""Tensors that were computed once and need not be computed again.

In: facts that decide them, and how to compute them.  Out: the tensors.  Where they are kept is
known to `content_cache`.
"""

from collections.abc import Callable, Mapping

from safetensors.torch import load, save
from torch import Tensor

from modelgenerator.content_cache import ContentCache

CODE_VERSION = 2
"""Raised whenever the same facts would give other numbers."""


def kept_tensors(
    cache: ContentCache,
    facts: Mapping[str, object],
    compute: Callable[[], Mapping[str, Tensor]],
) -> tuple[dict[str, Tensor], bool]:
    """The tensors that belong to `facts`, and whether `cache` held them."""

    def as_bytes() -> bytes:
        return save({name: tensor.contiguous() for name, tensor in compute().items()})

    content, found = cache.get_bytes({**facts, "code": CODE_VERSION}, as_bytes)
    return load(content), found
