"""A deployment of its own for each test of its pages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving import Serving, serving


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Serving]:
    with serving(tmp_path) as it:
        yield it
