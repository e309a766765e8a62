"""A repeated request gets the first answer; the outbox tells everything at least once."""

import threading
from contextlib import suppress
from datetime import timedelta

import pytest
from tests.remembered import an_organization

from modelgenerator.service.errors import IdempotencyMismatch
from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.webhooks import (
    DeliveryStatus,
    WebhookDelivery,
    WebhookEndpoint,
)

AGAIN = timedelta(minutes=1)


def test_the_first_request_is_answered_and_the_second_gets_that_answer(
    database, organization_id, clock
):
    with database.transaction() as transaction:
        keys = transaction.of(organization_id).idempotency_keys
        assert keys.begin("k", "f", clock()) is None
        keys.answer("k", status=202, body={"id": "1"})
    with database.transaction() as transaction:
        earlier = transaction.of(organization_id).idempotency_keys.begin("k", "f", clock())
    assert earlier is not None
    assert (earlier.status, earlier.body) == (202, {"id": "1"})


def test_a_key_that_comes_with_another_request_is_refused(database, organization_id, clock):
    with database.transaction() as transaction:
        transaction.of(organization_id).idempotency_keys.begin("k", "f", clock())
    with pytest.raises(IdempotencyMismatch), database.transaction() as transaction:
        transaction.of(organization_id).idempotency_keys.begin("k", "other", clock())


def test_a_request_that_failed_may_be_sent_again(database, organization_id, clock):
    with suppress(KeyError), database.transaction() as transaction:
        transaction.of(organization_id).idempotency_keys.begin("k", "f", clock())
        raise KeyError
    with database.transaction() as transaction:
        assert transaction.of(organization_id).idempotency_keys.begin("k", "f", clock()) is None


def test_another_organization_has_keys_of_its_own(database, organization_id, clock):
    other = an_organization(database, clock)
    with database.transaction() as transaction:
        for id in (organization_id, other):
            assert transaction.of(id).idempotency_keys.begin("k", "f", clock()) is None


def test_of_two_requests_at_once_one_is_the_first(database, organization_id, clock):
    now = clock()
    together = threading.Barrier(8)
    answers = []

    def ask(number):
        together.wait()
        with database.transaction() as transaction:
            keys = transaction.of(organization_id).idempotency_keys
            earlier = keys.begin("k", "f", now)
            if earlier is None:
                keys.answer("k", status=202, body={"by": number})
            answers.append({"by": number} if earlier is None else earlier.body)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 8
    assert all(answer == answers[0] for answer in answers)


def test_old_keys_are_forgotten(database, organization_id, clock):
    with database.transaction() as transaction:
        keys = transaction.of(organization_id).idempotency_keys
        keys.begin("old", "f", clock())
        before = clock()
        keys.begin("new", "f", clock())
        assert transaction.forget_idempotency_keys(before) == 1
        assert keys.begin("old", "other", clock()) is None


@pytest.fixture
def delivery(database, organization_id, clock):
    endpoint = WebhookEndpoint(
        id=new_id(clock()),
        organization_id=organization_id,
        url="https://x.org/hook",
        secrets=("whsec_a",),
        event_types=(),
        job_id=None,
        created_at=clock(),
    )
    delivery = WebhookDelivery(
        id=new_id(clock()),
        organization_id=organization_id,
        endpoint_id=endpoint.id,
        type="training.succeeded",
        payload={"id": "1"},
        status=DeliveryStatus.PENDING,
        tries=0,
        next_try_at=clock(),
        response=None,
        created_at=clock(),
    )
    with database.transaction() as transaction:
        mine = transaction.of(organization_id)
        mine.webhook_endpoints.add(endpoint)
        mine.webhook_deliveries.add(delivery)
    return delivery


def due(database, now):
    with database.transaction() as transaction:
        found = transaction.outbox.claim_due(now, limit=10, again_after=AGAIN)
    return [(delivery.id, endpoint.url) for delivery, endpoint in found]


def test_a_message_comes_up_once_and_again_when_its_sender_dies(database, delivery, clock):
    now = clock()
    assert due(database, now) == [(delivery.id, "https://x.org/hook")]
    assert due(database, now) == []
    assert due(database, now + AGAIN) == [(delivery.id, "https://x.org/hook")]


@pytest.mark.parametrize(
    ("delivered", "wait", "status"),
    [
        (True, None, DeliveryStatus.DELIVERED),
        (False, AGAIN, DeliveryStatus.PENDING),
        (False, None, DeliveryStatus.EXHAUSTED),
    ],
)
def test_how_a_try_went_is_remembered(
    database, organization_id, delivery, clock, delivered, wait, status
):
    now = clock()
    with database.transaction() as transaction:
        after = transaction.outbox.tried(
            delivery,
            now=now,
            response="500",
            delivered=delivered,
            next_try_at=now + wait if wait else None,
        )
        assert transaction.of(organization_id).webhook_deliveries.get(delivery.id) == after
    assert (after.status, after.tries, after.response) == (status, 1, "500")
    is_due = due(database, now + AGAIN)
    assert bool(is_due) == (status is DeliveryStatus.PENDING)
