"""The outbox's postman: takes messages whose time has come to their endpoints.

In: an opened service.  Out: each message delivered, tried again later, or given up after the
promised number of tries.  Everything goes at once and nothing takes longer than a few seconds, so
that one slow server holds up nobody.
"""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import httpx

from modelgenerator.service.errors import AddressRefused
from modelgenerator.service.operations.service import Service
from modelgenerator.service.operations.signing import signed_headers
from modelgenerator.service.operations.webhook_addresses import Target, resolved
from modelgenerator.service.operations.webhooks import message_id
from modelgenerator.service.records.webhooks import WebhookDelivery, WebhookEndpoint

WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""After each failed try; Source: Standard Webhooks, spec/standard-webhooks.md, "Retries"."""
SECONDS = 15.0
"""For a whole try, from the name server to the answer's first line."""
AT_ONCE = 20
LARGEST_BODY = 20_000
"""Bytes; Source: the same."""
_GONE = 410
AGAIN_AFTER = timedelta(minutes=2)
"""When a message comes up again whose sender died."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How a try went."""

    delivered: bool
    response: str
    endpoint_is_gone: bool = False


def send_due(service: Service) -> int:
    """Send what is due, at most a handful; how much that was."""
    with service.database.transaction() as transaction:
        due = transaction.outbox.claim_due(service.clock(), limit=AT_ONCE, again_after=AGAIN_AFTER)
    if due:
        for (delivery, endpoint), tried in zip(due, asyncio.run(_sent(service, due)), strict=True):
            _record(service, delivery, endpoint, tried)
    return len(due)


async def _sent(
    service: Service, due: Sequence[tuple[WebhookDelivery, WebhookEndpoint]]
) -> list[Tried]:
    # no proxies of the environment: the connection goes where the address was checked
    async with httpx.AsyncClient(trust_env=False, timeout=SECONDS) as client:
        return await asyncio.gather(*(_tried(service, client, *one) for one in due))


async def _tried(
    service: Service,
    client: httpx.AsyncClient,
    delivery: WebhookDelivery,
    endpoint: WebhookEndpoint,
) -> Tried:
    if endpoint.disabled_at is not None:
        return Tried(False, "the webhook is switched off", endpoint_is_gone=True)
    try:
        async with asyncio.timeout(SECONDS):
            allows_private = service.config.webhook_private_networks
            target = await asyncio.to_thread(resolved, endpoint.url, allows_private=allows_private)
            return await _posted(client, _request(target, delivery, endpoint, service.clock()))
    except AddressRefused as refused:
        return Tried(False, str(refused))
    except TimeoutError:
        return Tried(False, f"no answer within {SECONDS:.0f} seconds")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return Tried(False, f"no answer: {type(error).__name__}")


async def _posted(client: httpx.AsyncClient, request: httpx.Request) -> Tried:
    """What is answered beside the status is not read: it may be without end."""
    response = await client.send(request, stream=True, follow_redirects=False)
    await response.aclose()
    status = response.status_code
    return Tried(200 <= status < 300, str(status), endpoint_is_gone=status == _GONE)


def _request(
    target: Target, delivery: WebhookDelivery, endpoint: WebhookEndpoint, now: datetime
) -> httpx.Request:
    """To the address that was checked, with the host that was asked for."""
    body = json.dumps(delivery.payload, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(body) < LARGEST_BODY, "messages are thin"
    written = httpx.URL(target.url)
    headers = {
        "Host": written.netloc.decode(),
        "Content-Type": "application/json",
        "User-Agent": "ModelGenerator",
        **signed_headers(message_id(delivery), now, body, endpoint.secrets),
    }
    return httpx.Request(
        "POST",
        written.copy_with(host=target.ip, port=target.port),
        headers=headers,
        content=body,
        extensions={
            "sni_hostname": target.host,
            "timeout": dict.fromkeys(("connect", "read", "write", "pool"), SECONDS),
        },
    )


def _record(
    service: Service, delivery: WebhookDelivery, endpoint: WebhookEndpoint, tried: Tried
) -> None:
    now = service.clock()
    over = tried.endpoint_is_gone or delivery.tries >= len(WAITS)
    next_try_at = None if tried.delivered or over else now + _wait(delivery.tries)
    with service.database.transaction() as transaction:
        transaction.outbox.tried(
            delivery,
            now=now,
            response=tried.response,
            delivered=tried.delivered,
            next_try_at=next_try_at,
        )
        if tried.endpoint_is_gone and endpoint.disabled_at is None:
            endpoints = transaction.of(endpoint.organization_id).webhook_endpoints
            if (there := endpoints.find(endpoint.id)) is not None:
                endpoints.replace(replace(there, disabled_at=now))


def _wait(tries: int) -> timedelta:
    """A tenth more at most, so that not everything comes back at once."""
    return WAITS[tries] * (1 + secrets.randbelow(1_000) / 10_000)
