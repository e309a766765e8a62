"""One of everything that an organization can have, and a second organization that has nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient
from tests import uploaded
from tests.remembered import an_organization
from tests.serving import Serving

from modelgenerator.service.operations.api_keys import new_key
from modelgenerator.service.records.jobs import JobKind
from modelgenerator.service.records.organizations import Role
from modelgenerator.service.records.webhooks import DeliveryStatus

FLOW = {
    "title": "Zip",
    "description": "Packs a number.",
    "steps": [
        {"id": "first", "type": "ObjectTransformer", "result": {"number": 7}},
        {"id": "packed", "type": "Zipper", "parameters": {"sources": ["first"]}},
    ],
}


@dataclass(frozen=True)
class Household:
    """Where its things are: the addresses of `/openapi.json` with ids in the place of names."""

    ids: Mapping[str, str]
    """By the first words of an address: `/v1/subjects`."""

    def address(self, path: str) -> str:
        """`path` with the household's ids."""
        found = path
        for beginning in sorted(self.ids, key=len, reverse=True):
            if path.startswith(beginning) and "{" in found:
                before, _, rest = found.partition("{")
                found = before + self.ids[beginning] + rest.partition("}")[2]
                break
        return found.replace("{image_id}", self.ids["image"])


def a_household(serving: Serving) -> Household:
    """Made through the API, and by a worker."""
    http = serving.http
    dataset = str(uploaded.a_dataset(serving))
    subject = _items(http, "/v1/subjects")[0]["id"]
    image = http.get(f"/v1/datasets/{dataset}").json()["images"][0]["id"]
    template = _made(http, "/v1/training-templates", {"name": "T", "settings": {"epochs": 2}})
    hook = _made(http, "/v1/webhooks", {"url": "https://8.8.8.8/told"})
    training = _made(
        http, "/v1/trainings", {"datasetId": dataset, "settings": dict(uploaded.SETTINGS)}
    )
    uploaded.trained(serving, uploaded.claimed(serving))
    inference = _made(
        http, "/v1/inferences", {"trainingId": training, "images": [{"prompt": "lvff"}]}
    )
    job = uploaded.claimed(serving, JobKind.GENERATE)
    uploaded.drawn(serving, job, 0)
    uploaded.ended(serving, job)
    pack = _made(http, "/v1/inference-packs", {"name": "P", "images": [{"prompt": "a fox"}]})
    flow = _made(http, "/v1/flows", {"definition": FLOW})
    run = _made(http, f"/v1/flows/{flow}/runs", {"input": {}})
    key = http.post("/v1/api-keys", json={"name": "K"}).json()["apiKey"]["id"]
    member = _items(http, "/v1/members")[0]["id"]
    with serving.service.database.reading() as transaction:
        store = transaction.of(serving.organization_id)
        delivery = store.webhook_deliveries.first(status=DeliveryStatus.PENDING)
    assert delivery is not None
    gone = _made(http, "/v1/subjects", {"name": "Gone"})
    receipt = http.delete(f"/v1/subjects/{gone}").json()["id"]
    return Household(
        {
            "/v1/subjects": subject,
            "/v1/datasets": dataset,
            "image": image,
            "/v1/training-templates": template,
            "/v1/trainings": training,
            "/v1/inferences": inference,
            "/v1/inference-packs": pack,
            "/v1/flows": flow,
            "/v1/runs": run,
            "/v1/api-keys": key,
            "/v1/members": member,
            "/v1/webhooks": hook,
            "/v1/webhooks/deliveries": str(delivery.id),
            "/v1/deletions": receipt,
        }
    )


def neighbours(serving: Serving) -> TestClient:
    """The owner of a second organization."""
    organization_id = an_organization(serving.service.database, serving.clock, balance=10**8)
    key, kept = new_key(organization_id, "Theirs", Role.OWNER, serving.clock())
    with serving.service.database.transaction() as transaction:
        transaction.of(organization_id).api_keys.add(kept)
    return serving.with_key(key)


def _made(http: TestClient, address: str, body: Mapping[str, Any]) -> str:
    answer = http.post(address, json=body)
    assert answer.status_code in (201, 202), answer.text
    return answer.json()["id"]


def _items(http: TestClient, address: str) -> list[dict[str, Any]]:
    return http.get(address).json()["items"]
