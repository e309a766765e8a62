from pathlib import Path

import torch

from modelgenerator.content_cache import ContentCache
from modelgenerator.training.cache import kept_tensors

FACTS = {"picture": "abc"}


def test_tensors_come_back_as_they_were(tmp_path: Path):
    cache, mean = ContentCache(tmp_path), torch.arange(6.0).reshape(2, 3).T
    first, was_found = kept_tensors(cache, FACTS, lambda: {"mean": mean})
    assert not was_found
    second, was_found = kept_tensors(cache, FACTS, lambda: {"mean": mean + 1})
    assert was_found
    assert torch.equal(first["mean"], mean)
    assert torch.equal(second["mean"], mean)
