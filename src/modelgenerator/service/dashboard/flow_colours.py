"""The colours that a flow wishes for its public page, as rules of a style sheet.

In: the flow's `ui`.  Out: CSS in which nothing stands but colours that were read and written again;
text that nobody could read on its ground is black or white instead.
"""

import re
from collections.abc import Mapping

_HEX = re.compile(r"#([0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})")
_READABLE = 4.5
"""Contrast of text on its ground.  Source: WCAG 2.2, success criterion 1.4.3."""
Colour = tuple[int, int, int, int]
"""Red, green, blue, alpha, from 0 to 255."""


def colour_rules(ui: Mapping[str, object]) -> str:
    """Rules for the page; empty where no colour is wished."""
    ground = read_colour(ui.get("bodyBackgroundColor"))
    text = read_colour(ui.get("textColor"))
    shadow = read_colour(ui.get("backgroundShadowColor"))
    rules: list[str] = []
    if ground is not None:
        shown = text if text is not None and contrast(text, ground) >= _READABLE else None
        written = _hex(shown or _plain_on(ground))
        rules.append(f"body {{ background: {_hex(ground)}; }}")
        rules.append(f".public-intro, .public-foot {{ --quiet: {written}; color: {written}; }}")
    elif text is not None:
        ground = (255, 255, 255, 255) if contrast(text, _WHITE) >= _READABLE else (0, 0, 0, 255)
        rules.append(f"body {{ background: {_hex(ground)}; }}")
        written = _hex(text if contrast(text, ground) >= _READABLE else _plain_on(ground))
        rules.append(f".public-intro, .public-foot {{ --quiet: {written}; color: {written}; }}")
    if shadow is not None:
        rules.append(f".public-card {{ box-shadow: 0 6px 32px {_hex(shadow)}; }}")
    return "\n".join(rules)


def read_colour(value: object) -> Colour | None:
    """`#rgb`, `#rgba`, `#rrggbb` or `#rrggbbaa`; none: it is no such colour."""
    found = _HEX.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    digits = found[1] if len(found[1]) > 4 else "".join(digit * 2 for digit in found[1])
    red, green, blue, alpha = (int(digits[at : at + 2] or "ff", 16) for at in (0, 2, 4, 6))
    return red, green, blue, alpha


def contrast(one: Colour, other: Colour) -> float:
    """From 1 to 21.  Source: WCAG 2.2, contrast ratio; of colours that let none through."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Colour) -> float:
    """Source: WCAG 2.2, relative luminance."""
    parts = [part / 255 for part in colour[:3]]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


_WHITE: Colour = (255, 255, 255, 255)
_BLACK: Colour = (0, 0, 0, 255)


def _plain_on(ground: Colour) -> Colour:
    return _WHITE if contrast(_WHITE, ground) > contrast(_BLACK, ground) else _BLACK


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{part:02x}" for part in colour)
