"""The steps of the published page, as printed, in flows that train, draw and are paid.

The three step definitions are the page's own.  Their base models are gigabytes on a hub, so
that the embedded one stands in their place, with few epochs, when they run; everything else stays.
"""

from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from tests.published_steps import PRINTED, TAKES
from tests.remembered import SetClock
from tests.server import server

from modelgenerator.cli.demo import draw_photos
from modelgenerator.client import Client
from modelgenerator.flows.check import check
from modelgenerator.flows.definition import read_document
from modelgenerator.service.billing.prices import training_charge
from modelgenerator.service.config import PriceList
from modelgenerator.service.operations.expiry import sweep
from modelgenerator.service.operations.service import Service

FORM = "type: 'object', properties: { %s: { type: 'string', dataset: true, min: 4, max: 20 } }"
DRAWN = """{
  id: 'pictures', type: 'ImageGenerator',
  parameters: { trainingId: '$.results.%s.id', images: [{ prompt: 'a creature', steps: 2 }] },
}"""
SMALL = {
    "'stable-diffusion-v1-5/stable-diffusion-v1-5'": "'modelgenerator/creatures'",
    "'Realistic_Vision_V6.0_B1'": "'modelgenerator/creatures'",
    "epochs: 50": "epochs: 1",
    "epochs: 80": "epochs: 1",
    "resolution: 1024": "resolution: 32",
}
"""What is not the page's when a flow really runs here."""


def flow_of(name: str) -> str:
    """A flow that trains as printed, and draws with what came out."""
    trainer = "portraitTrainer" if name == "portraits" else "trainer"
    return f"""{{
  title: 'The page: {name}', description: 'As printed.', slug: 'page-{name}',
  input: {{ {FORM % TAKES[name]}, required: ['{TAKES[name]}'] }},
  steps: [{PRINTED[name]}, {DRAWN % trainer}],
}}"""


@pytest.mark.parametrize("name", PRINTED)
def test_the_pages_steps_check_as_printed(name):
    document = read_document(flow_of(name))
    assert check(document.values).faults == ()


def small(text: str, template_id: str) -> str:
    for printed, here in {**SMALL, "your-template-uuid": template_id}.items():
        text = text.replace(printed, here)
    return text


@pytest.mark.slow
def test_the_pages_flows_run_are_paid_to_the_microdollar_and_expire(tmp_path: Path):
    photos = tmp_path / "photos"
    draw_photos(photos)
    with server(tmp_path) as it, Client(it.url, it.key) as client, it.http() as http:
        settings = {"baseModel": "modelgenerator/creatures", "epochs": 1}
        body = {"name": "quick", "settings": settings}
        template = http.post("/v1/training-templates", json=body).json()["id"]
        costs, trainings = [], []
        for name in PRINTED:
            file = tmp_path / f"{name}.json5"
            file.write_text(small(flow_of(name), template), encoding="utf-8")
            run = client.run_flow(file, photos={TAKES[name]: photos}).wait()
            record = run.read()
            trainer, pictures = record["steps"]
            assert [image["trainingId"] for image in pictures["result"]["images"]] == [
                trainer["result"]["id"]
            ]
            assert len(run.download(tmp_path / name)) == 2
            training = client.training(trainer["result"]["id"]).read()
            trainings.append(training)
            costs += [10_000, training["finalCost"], 20_000]
            assert record["cost"] == sum(costs[-3:])
        direct = client.train(photos, settings=settings).wait().read()
        costs.append(direct["finalCost"])
        _in_the_life_of(trainings, days=7)
        _in_the_life_of([direct], days=30)
        later = SetClock(datetime.fromisoformat(direct["finishedAt"]) + timedelta(days=8))
        with it.opened(later) as service:
            _is_paid_by_the_second(service, [*trainings, direct], costs)
            sweep(service)
        for training in trainings:
            gone = http.get(f"/v1/trainings/{training['id']}/model")
            assert (gone.status_code, gone.json()["code"]) == (410, "modelExpired")
        kept = http.get(f"/v1/trainings/{direct['id']}/model", follow_redirects=True)
        assert len(kept.content) == direct["model"]["byteCount"]


def _is_paid_by_the_second(service: Service, trainings: list[dict], costs: list[int]) -> None:
    """Each training by the time it used, at the published price, and nothing but `costs`."""
    with service.database.reading() as transaction:
        (organization,) = transaction.identities.organizations()
        store = transaction.of(organization.id)
        for training in trainings:
            job = store.jobs.get(store.trainings.get(UUID(training["id"])).job_id)
            used = timedelta(milliseconds=job.used_ms)
            assert training["finalCost"] == training_charge(PriceList(), used) > 0
        account = store.accounts.read()
        assert (account.balance, account.held) == (100_000_000 - sum(costs), 0)


def _in_the_life_of(trainings: list[dict], *, days: int) -> None:
    for training in trainings:
        finished = datetime.fromisoformat(training["finishedAt"])
        expires = datetime.fromisoformat(training["expiresAt"])
        assert timedelta(days=days) - timedelta(minutes=1) < expires - finished
        assert expires - finished < timedelta(days=days, minutes=1)


@pytest.mark.slow
def test_a_flow_runs_from_the_command_line_on_a_server_of_its_own(modelgenerator, tmp_path: Path):
    draw_photos(tmp_path / "photos")
    text = small(flow_of("step"), "")
    (tmp_path / "flow.json5").write_text(text, encoding="utf-8")
    home = str(tmp_path / "home")
    done = modelgenerator(
        "flow", "run", "flow.json5", "--input", "userDatasetId=@photos", XDG_DATA_HOME=home
    )
    assert done.returncode == 0, done.stderr
    assert "run succeeded" in done.stdout
    assert (tmp_path / "results" / "page-step" / "pictures-000.png").is_file()
    wrong = modelgenerator(
        "flow", "run", "flow.json5", "--input", "photos=@photos", XDG_DATA_HOME=home
    )
    assert wrong.returncode == 2
    assert "There are: userDatasetId." in wrong.stderr
