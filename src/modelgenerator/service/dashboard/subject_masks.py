"""How the photos of a subject would be cut and weighted in a training, with four shades to try.

In: shades and whether the photos are cut, in the address.  Out: previews, and a way to a training
that begins with just these settings.
"""

from dataclasses import asdict
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Response

from modelgenerator.datasets.masks import MaskShades
from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.subject_page import subject_values, train_address
from modelgenerator.service.dashboard.subject_photos import Shade
from modelgenerator.service.dashboard.visits import VisitHere

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_SHOWN = 6
_SIDE = 320
"""Pixels; with the usual shades such a preview is kept."""
_USUAL = MaskShades()
SLIDERS = (
    ("headMaskShade", "Head", "Faces and heads."),
    ("bodyMaskShade", "Body", "The rest of the subject."),
    ("boundingMaskShade", "Around it", "The rectangle around the subject."),
    ("backgroundMaskShade", "Background", "Everything else."),
)


@router.get("/subjects/{id}/masks")
def masks(
    visit: VisitHere,
    id: UUID,
    normalize: Annotated[bool, Query(alias="normalizeDataset")] = False,
    masked: Annotated[bool, Query(alias="maskedLoss")] = False,
    head: Annotated[Shade, Query(alias="headMaskShade")] = _USUAL.head,
    body: Annotated[Shade, Query(alias="bodyMaskShade")] = _USUAL.body,
    bounding: Annotated[Shade, Query(alias="boundingMaskShade")] = _USUAL.bounding,
    background: Annotated[Shade, Query(alias="backgroundMaskShade")] = _USUAL.background,
    first: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """Previews with these shades; a script asks for them anew while a slider moves."""
    shades = MaskShades(head, body, bounding, background)
    if not visit.request.url.query:
        normalize = masked = True
    values = subject_values(visit, id)
    values |= _links(id, values["likely"], shades, normalize=normalize, masked=masked)
    values |= {
        "shown": values["pictures"][first : first + _SHOWN],
        "first": first,
        "step": _SHOWN,
        "side": _SIDE,
        "shades": written(shades),
        "sliders": SLIDERS,
        "normalize": normalize,
        "masked": masked,
        "calls": [_call(values["dataset_id"], shades, normalize=normalize, masked=masked)],
    }
    template = "subjects/masks_part.html" if visit.is_partial else "subjects/masks.html"
    return visit.page(template, **values)


def written(shades: MaskShades) -> dict[str, int]:
    """By the names of the settings."""
    return {f"{name}MaskShade": shade for name, shade in asdict(shades).items()}


def training_settings(shades: MaskShades, *, normalize: bool, masked: bool) -> dict[str, str]:
    """What a training would be given; what is usual is left out."""
    settings = {"normalizeDataset": "true"} if normalize else {}
    if not masked:
        return settings
    usual = written(_USUAL)
    other = {name: str(shade) for name, shade in written(shades).items() if shade != usual[name]}
    return {**settings, "maskedLoss": "true", **other}


def _links(
    id: UUID, likely: dict[str, str], shades: MaskShades, *, normalize: bool, masked: bool
) -> dict[str, str]:
    settings = training_settings(shades, normalize=normalize, masked=masked)
    here = {"normalizeDataset": normalize, "maskedLoss": masked, **written(shades)}
    query = {name: str(value).lower() for name, value in here.items()}
    shown = {"normalize": str(normalize).lower(), "mask": str(masked).lower(), "size": str(_SIDE)}
    return {
        "train_address": train_address(id, {**likely, **settings}),
        "preview_query": urlencode({**shown, **(written(shades) if masked else {})}),
        "here": f"/subjects/{id}/masks?{urlencode(query)}",
    }


def _call(dataset_id: UUID, shades: MaskShades, *, normalize: bool, masked: bool) -> Call:
    asked = {"normalize": str(normalize).lower(), "mask": str(masked).lower()}
    query = urlencode({**asked, **(written(shades) if masked else {})})
    return Call(
        "GET",
        f"/v1/datasets/{dataset_id}/images/IMAGE_ID/preview?{query}",
        saves_as="preview.webp",
    )
