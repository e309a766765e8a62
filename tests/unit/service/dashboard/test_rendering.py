"""How values are written in pages."""

import pytest

from modelgenerator.service.dashboard.rendering import pixels


@pytest.mark.parametrize(
    ("width", "height", "shown"),
    [
        (128, 128, " pixels"),
        (96, None, " pixels"),
        (129, 64, ""),
        (64, 129, ""),
        (None, None, ""),
        ("96", None, ""),
    ],
)
def test_only_small_pictures_show_their_pixels_large(
    width: object, height: int | None, shown: str
) -> None:
    assert pixels(width, height) == shown
