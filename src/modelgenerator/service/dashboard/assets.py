"""Scripts, styles and pictures of the dashboard, each under an address that changes with it.

In: a file's name.  Out: an address that a browser keeps for a year, and the file behind it.
"""

import hashlib
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

router = APIRouter(include_in_schema=False)
_KINDS = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}


def asset_address(name: str) -> str:
    """Where a file of `static/` is found."""
    return f"/assets/{_mark(name)}/{name}"


@router.get("/assets/{mark}/{name}")
def read_asset(mark: str, name: str) -> Response:
    """The file; an address of another version leads to this one too, and is not kept."""
    if name not in _names():
        raise HTTPException(404)
    kept = "public, max-age=31536000, immutable" if mark == _mark(name) else "no-store"
    kind = _KINDS[name.rpartition(".")[2]]
    return Response(_content(name), media_type=kind, headers={"Cache-Control": kept})


@cache
def _names() -> frozenset[str]:
    return frozenset(file.name for file in files(__package__ or "").joinpath("static").iterdir())


@cache
def _content(name: str) -> bytes:
    return files(__package__ or "").joinpath("static", name).read_bytes()


@cache
def _mark(name: str) -> str:
    return hashlib.sha256(_content(name)).hexdigest()[:12]
