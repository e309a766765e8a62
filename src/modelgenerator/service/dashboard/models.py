"""Models: what trainings have made, and how long it is kept."""

from fastapi import APIRouter, Response

from modelgenerator.service.dashboard.as_code import Call
from modelgenerator.service.dashboard.page_errors import PageRoute
from modelgenerator.service.dashboard.visits import VisitHere
from modelgenerator.service.operations import model_lists

router = APIRouter(route_class=PageRoute, include_in_schema=False)
PAGE = 30


@router.get("/models")
def list_models(visit: VisitHere, cursor: str | None = None) -> Response:
    """The organization's trained models."""
    page = model_lists.list_models(visit.service, visit.caller, cursor, limit=PAGE)
    first = page.items[0].training.id if page.items else "TRAINING_ID"
    return visit.page(
        "models/list.html",
        models=page.items,
        next_cursor=page.next_cursor,
        may_download=visit.service.config.allow_download,
        calls=[
            Call("GET", "/v1/trainings?status=succeeded"),
            Call(
                "GET",
                f"/v1/trainings/{first}/model",
                saves_as="lora.safetensors",
                python=f'client.training("{first}").download("lora.safetensors")',
            ),
            Call("DELETE", f"/v1/trainings/{first}"),
        ],
    )
