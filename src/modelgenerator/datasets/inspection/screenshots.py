"""Whether a picture looks like what was on a screen.

Three signs must come together, because each alone is common in photos: the shape of a screen, a
status bar at the top (one colour, but with something in it), and a bar at the bottom.
"""

from modelgenerator.datasets.appearance import Appearance

BAR_IS_FLAT = 0.7
"""Share of a bar's pixels like their neighbour; in a photo's night sky it is up to 0.6."""
BAR_IS_EMPTY = 0.998
"""A status bar has a clock in it; the paper of a product photo has not."""
SCREEN_IS_FLAT = 0.25
"""Of the whole picture: an app's own areas beside the photo that it shows."""
TALL_SCREENS = (1.7, 2.4)
"""Longer over shorter side of phones, 16:9 to 21:9; cameras take 3:2 and 4:3 unless told."""
WIDE_SCREENS = frozenset(
    {(1366, 768), (1440, 900), (1536, 864), (1600, 900), (1680, 1050), (1920, 1080)}
    | {(1920, 1200), (2560, 1440), (2560, 1600), (2880, 1800), (3440, 1440), (3840, 2160)}
)
"""Of computers, in pixels."""


def is_screenshot(seen: Appearance, width: int, height: int) -> bool:
    """A guess that would rather miss one than blame a photo."""
    is_tall = TALL_SCREENS[0] <= height / width <= TALL_SCREENS[1]
    if not is_tall and (width, height) not in WIDE_SCREENS:
        return False
    top, bottom = seen.flat_bands
    has_status_bar = BAR_IS_FLAT < top < BAR_IS_EMPTY
    is_drawn_large = seen.pixel_size > 1
    return (
        has_status_bar
        and bottom > BAR_IS_FLAT
        and seen.flat_share > SCREEN_IS_FLAT
        and not is_drawn_large
    )
