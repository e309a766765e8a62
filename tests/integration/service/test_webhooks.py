"""Messages from the outbox to a real server, signed, repeated and given up as promised."""

import base64
import hashlib
import hmac
import json
import socket
from uuid import uuid4

import pytest
from tests.serving import serving
from tests.told import listening
from tests.uploaded import SETTINGS, a_dataset, claimed, ended, trained

from modelgenerator.service.operations import sending
from modelgenerator.service.operations.carrying_on import carry_on
from modelgenerator.service.operations.planning import TrainingRequest
from modelgenerator.service.operations.sending import WAITS, send_due
from modelgenerator.service.operations.trainings import create_training
from modelgenerator.service.operations.webhook_messages import EVENT_TYPES, tell, tell_of_start
from modelgenerator.service.records.jobs import Fault, JobError, JobKind, JobStatus
from modelgenerator.service.records.organizations import Role


@pytest.fixture
def it(tmp_path):
    with serving(tmp_path, webhook_private_networks=True) as it:
        yield it


@pytest.fixture
def server():
    with listening() as server:
        yield server


def hook(it, url, expect=201, **more):
    answer = it.http.post("/v1/webhooks", json={"url": url, **more})
    assert answer.status_code == expect, answer.text
    return answer.json()


def happens(it, type="training.succeeded"):
    with it.service.database.transaction() as transaction:
        store = transaction.of(it.organization_id)
        data = {"id": "7", "status": "succeeded"}
        tell(store, type, data, it.clock(), job_id=None)


def deliveries(it, webhook):
    return it.http.get(f"/v1/webhooks/{webhook['id']}/deliveries").json()["items"]


def verified(secret, told):
    """As a receiver does it, without our code."""
    content = f"{told.headers['webhook-id']}.{told.headers['webhook-timestamp']}.".encode()
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, content + told.body, hashlib.sha256).digest()
    expected = "v1," + base64.b64encode(digest).decode()
    return expected in told.headers["webhook-signature"].split(" ")


def test_a_message_arrives_signed_and_thin(it, server):
    webhook = hook(it, server.url)
    happens(it)
    assert send_due(it.service) == 1
    (told,) = server.told
    assert json.loads(told.body) == {
        "type": "training.succeeded",
        "timestamp": json.loads(told.body)["timestamp"],
        "data": {"id": "7", "status": "succeeded"},
    }
    assert verified(webhook["secret"], told)
    assert not verified("whsec_" + base64.b64encode(b"x" * 32).decode(), told)
    assert told.headers["Host"] == f"127.0.0.1:{server.port}"
    (delivery,) = deliveries(it, webhook)
    assert (delivery["status"], delivery["response"], delivery["tries"]) == ("delivered", "204", 1)
    assert delivery["messageId"] == told.headers["webhook-id"]
    assert send_due(it.service) == 0


def test_the_beginning_and_the_end_of_a_training_are_told(it, server):
    hook(it, server.url)
    request = TrainingRequest(dataset_id=a_dataset(it), settings=SETTINGS)
    id = create_training(it.service, it.owner, request)
    job = claimed(it)
    with it.service.database.transaction() as transaction:
        tell_of_start(transaction, job, it.clock())
    trained(it, job)
    while send_due(it.service):
        pass
    types = {json.loads(told.body)["type"] for told in server.told}
    assert types == {"training.started", "training.succeeded"}
    assert all(json.loads(told.body)["data"]["id"] == str(id) for told in server.told)


def a_run(it, *steps):
    """A run whose steps are done at once, and the webhook that was told of it."""
    webhook = hook(it, "http://127.0.0.1:9/nobody")
    definition = {"title": "F", "description": "F.", "steps": list(steps)}
    flow = it.http.post("/v1/flows", json={"definition": definition}).json()["id"]
    run = it.http.post(f"/v1/flows/{flow}/runs", json={"input": {}}).json()["id"]
    return run, webhook


STEP = {"id": "first", "type": "ObjectTransformer", "result": {"number": 7}}


def test_the_beginning_and_the_end_of_a_run_are_told(it):
    run, webhook = a_run(it, STEP)
    while carry_on(it.service):
        pass
    told = [one["payload"] for one in deliveries(it, webhook)]
    assert [one["type"] for one in told] == ["run.succeeded", "run.started"]
    assert {one["data"]["id"] for one in told} == {run}


def test_a_run_that_was_cancelled_before_it_began_is_told_once(it):
    run, webhook = a_run(it, STEP)
    it.http.post(f"/v1/runs/{run}/cancel")
    (one,) = deliveries(it, webhook)
    assert one["payload"]["type"] == "run.cancelled"
    assert one["payload"]["data"] == {"id": run, "status": "cancelled"}


def test_a_run_that_failed_is_told_with_its_reason(it):
    run, webhook = a_run(
        it, STEP, {"id": "packed", "type": "Zipper", "parameters": {"sources": ["first"]}}
    )
    while carry_on(it.service):
        pass
    error = JobError(code="x", message="No.", fault=Fault.OURS)
    ended(it, claimed(it, JobKind.ZIP), JobStatus.FAILED, error=error)
    last = deliveries(it, webhook)[0]["payload"]
    assert last["type"] == "run.failed"
    assert last["data"] == {
        "id": run,
        "status": "failed",
        "error": {"code": "x", "message": "No."},
    }


def test_only_what_is_wanted_is_told(it, server):
    webhook = hook(it, server.url, eventTypes=["training.failed"])
    happens(it)
    happens(it, "training.failed")
    assert [one["type"] for one in deliveries(it, webhook)] == ["training.failed"]


def test_a_failure_is_tried_again_at_the_promised_times_and_then_given_up(it, server):
    webhook = hook(it, server.url)
    server.status = 500
    happens(it)
    assert send_due(it.service) == 1
    for wait in WAITS:
        it.clock.advance(wait.total_seconds() - 1)
        assert send_due(it.service) == 0
        it.clock.advance(wait.total_seconds() / 10 + 2)
        assert send_due(it.service) == 1
    (delivery,) = deliveries(it, webhook)
    assert (delivery["status"], delivery["tries"], delivery["response"]) == ("exhausted", 10, "500")
    it.clock.advance(7 * 86_400)
    assert send_due(it.service) == 0
    assert len({told.headers["webhook-id"] for told in server.told}) == 1
    assert len(server.told) == 10


def test_a_redirect_is_a_failure_and_is_not_followed(it, server):
    webhook = hook(it, server.url)
    server.status, server.location = 302, server.url
    happens(it)
    send_due(it.service)
    (delivery,) = deliveries(it, webhook)
    assert (delivery["status"], delivery["response"]) == ("pending", "302")
    assert len(server.told) == 1


def test_a_server_that_says_it_is_gone_is_told_nothing_more(it, server):
    webhook = hook(it, server.url)
    server.status = 410
    happens(it)
    happens(it)
    send_due(it.service)
    assert it.http.get(f"/v1/webhooks/{webhook['id']}").json()["enabled"] is False
    happens(it)
    told = deliveries(it, webhook)
    assert [one["status"] for one in told] == ["exhausted", "exhausted"]
    again = it.http.post(f"/v1/webhooks/deliveries/{told[0]['id']}/replay")
    assert again.status_code == 409
    server.status = 204
    on = it.http.patch(f"/v1/webhooks/{webhook['id']}", json={"enabled": True}).json()
    assert on["enabled"] is True
    assert it.http.post(f"/v1/webhooks/deliveries/{told[0]['id']}/replay").status_code == 202
    send_due(it.service)
    assert deliveries(it, webhook)[0]["status"] == "delivered"


def test_a_slow_server_is_given_up_and_holds_up_nobody(it, server, monkeypatch):
    monkeypatch.setattr(sending, "SECONDS", 0.3)
    slow = hook(it, server.url)
    server.seconds = 1.0
    with listening() as quick_server:
        quick = hook(it, quick_server.url)
        happens(it)
        assert send_due(it.service) == 2
        assert len(quick_server.told) == 1
    assert deliveries(it, quick)[0]["status"] == "delivered"
    (delivery,) = deliveries(it, slow)
    assert (delivery["status"], delivery["tries"]) == ("pending", 1)
    assert "no answer" in delivery["response"]


def test_nobody_at_the_address_is_a_failure_like_others(it):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    webhook = hook(it, f"http://127.0.0.1:{port}/")
    happens(it)
    send_due(it.service)
    assert "ConnectError" in deliveries(it, webhook)[0]["response"]


def test_a_sender_that_dies_loses_no_message(it, server):
    hook(it, server.url)
    happens(it)
    with it.service.database.transaction() as transaction:
        assert transaction.outbox.claim_due(it.clock(), limit=9, again_after=sending.AGAIN_AFTER)
    assert send_due(it.service) == 0
    it.clock.advance(sending.AGAIN_AFTER.total_seconds() + 1)
    assert send_due(it.service) == 1
    assert len(server.told) == 1


def test_a_rotated_secret_signs_beside_the_old_one_until_the_next_time(it, server):
    webhook = hook(it, server.url)
    old = webhook["secret"]
    rotate = f"/v1/webhooks/{webhook['id']}/rotate-secret"
    new = it.http.post(rotate).json()["secret"]
    newest = it.http.post(rotate).json()["secret"]
    happens(it)
    send_due(it.service)
    assert [verified(secret, server.told[0]) for secret in (old, new, newest)] == [
        False,
        True,
        True,
    ]
    alone = it.http.post(f"{rotate}?keepOld=false").json()["secret"]
    happens(it)
    send_due(it.service)
    assert [verified(secret, server.told[1]) for secret in (newest, alone)] == [False, True]


def test_a_rotation_that_is_asked_for_twice_happens_once(it, server):
    webhook, key = hook(it, server.url), {"Idempotency-Key": "k"}
    rotate = f"/v1/webhooks/{webhook['id']}/rotate-secret"
    new = it.http.post(rotate, headers=key).json()["secret"]
    again = it.http.post(rotate, headers=key)
    assert (again.status_code, again.json()["secret"]) == (200, None)
    happens(it)
    send_due(it.service)
    assert all(verified(secret, server.told[0]) for secret in (webhook["secret"], new))


def test_a_secret_is_shown_once(it, server):
    body, key = {"url": server.url}, {"Idempotency-Key": "k"}
    first = it.http.post("/v1/webhooks", json=body, headers=key).json()
    second = it.http.post("/v1/webhooks", json=body, headers=key).json()
    assert first["id"] == second["id"]
    assert first["secret"].startswith("whsec_")
    assert second["secret"] is None
    assert it.http.get(f"/v1/webhooks/{first['id']}").json()["secret"] is None
    assert it.http.get("/v1/webhooks").json()["items"][0]["secret"] is None


def test_webhooks_are_changed_and_deleted_by_administrators(it, server):
    webhook = hook(it, server.url)
    address = f"/v1/webhooks/{webhook['id']}"
    changed = it.http.patch(address, json={"eventTypes": ["run.failed"]}).json()
    assert (changed["eventTypes"], changed["url"]) == (["run.failed"], server.url)
    member = it.as_role(Role.MEMBER)
    assert member.get("/v1/webhooks").status_code == 403
    assert member.delete(address).status_code == 403
    happens(it, "run.failed")
    assert it.http.delete(address).status_code == 204
    assert it.http.get(address).status_code == 404
    assert send_due(it.service) == 0
    assert it.http.post(f"/v1/webhooks/deliveries/{uuid4()}/replay").status_code == 404


def test_an_event_that_is_never_told_is_refused_with_the_one_that_is_meant(it, server):
    problem = hook(it, server.url, 400, eventTypes=["training.suceeded"])
    assert "training.succeeded" in problem["detail"]
    assert len(EVENT_TYPES) == 12


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:8080/v1/trainings",
        "http://[::1]/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "https://somebody:secret@example.org/",
        "http://",
    ],
)
def test_nothing_is_sent_into_private_networks(tmp_path, url):
    with serving(tmp_path) as it:
        assert hook(it, url, 422)["code"] == "addressRefused"


def test_a_name_that_leads_inside_later_is_caught_when_it_is_sent(tmp_path, monkeypatch, server):
    """DNS rebinding: the name meant an open address when the webhook was made."""
    outside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", server.port))]
    with serving(tmp_path) as it:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "getaddrinfo", lambda *_, **__: outside)
            webhook = hook(it, f"http://localhost:{server.port}/")
        happens(it)
        send_due(it.service)
        assert "private network" in deliveries(it, webhook)[0]["response"]
    assert server.told == []


def test_the_connection_goes_to_the_address_that_was_checked(it, server, monkeypatch):
    """The name is resolved once; what it means to anybody afterwards does not matter."""
    asked = []
    real = socket.getaddrinfo

    def once(host, *words, **more):
        asked.append(host)
        if host == "hooks.example":
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
        return real(host, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", once)
    hook(it, f"http://hooks.example:{server.port}/x")
    happens(it)
    send_due(it.service)
    (told,) = server.told
    assert told.headers["Host"] == f"hooks.example:{server.port}"
    assert asked.count("hooks.example") == 2  # when it was made, and when it was sent
