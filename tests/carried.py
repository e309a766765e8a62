"""Runs of flows, carried on as the server does it when there is news."""

from tests.serving import Serving

from modelgenerator.service.operations.carrying_on import carry_on


def carried_on(serving: Serving, steps: int = 5) -> None:
    """Every run, until as many steps have begun or ended as it may have."""
    for _ in range(steps):
        carry_on(serving.service)
