"""Whether this server lives, and whether it can work."""

from fastapi import APIRouter, Request

from modelgenerator.service.api.asking import ServiceHere
from modelgenerator.service.api.problems import problems
from modelgenerator.service.api.shapes import Shape
from modelgenerator.service.errors import StorageUnreachable, StoreBusy

router = APIRouter(tags=["operating"])


class Health(Shape):
    """That a server answers."""

    status: str
    version: str


@router.get("/healthz")
def healthz(request: Request) -> Health:
    """This process answers; asks nothing of database or storage."""
    return Health(status="alive", version=request.app.version)


@router.get("/readyz", responses=problems(503))
def readyz(request: Request, service: ServiceHere) -> Health:
    """Database and storage answer, and this server is not about to end."""
    if service.news.is_closing:
        raise StoreBusy("This server is about to end: ask another one.")
    with service.database.reading() as transaction:
        transaction.answers()
    if not service.files.answers():
        raise StorageUnreachable
    return Health(status="ready", version=request.app.version)
