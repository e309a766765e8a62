"""Jobs here work for nobody: what follows their ends is only counted."""

import pytest

from modelgenerator.service.operations import outcomes
from modelgenerator.service.records.jobs import Job


@pytest.fixture(autouse=True)
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Every job whose end was followed up."""
    seen: list[Job] = []

    def see(service: object, transaction: object, job: Job, result: object) -> None:
        del service, transaction, result
        seen.append(job)

    monkeypatch.setattr(outcomes, "record_end", see)
    return seen
