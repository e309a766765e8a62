"""Dockerfile and compose.yaml name only what exists: no engine runs here to tell."""

from pathlib import Path
from typing import Any

import yaml

from modelgenerator.service.config import ELSEWHERE, ServiceConfig, variables_of

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {name for field in ServiceConfig.model_fields for name in variables_of(field)}
OF_OTHERS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "HF_TOKEN", "HF_HOME"}


def test_compose_sets_variables_that_the_service_reads():
    assert set(COMPOSE["services"]["server"]["environment"]) <= OURS | OF_OTHERS


def test_the_image_sets_variables_that_the_service_reads():
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    env = next(line for line in text.splitlines() if line.startswith("ENV "))
    names = {word.partition("=")[0] for word in env.split()[1:]}
    assert names <= OURS | OF_OTHERS | set(ELSEWHERE) | {
        "PATH",
        "OMP_WAIT_POLICY",
        "PYTHONUNBUFFERED",
    }


def test_what_the_image_copies_is_there_and_not_left_out():
    text = (ROOT / "Dockerfile").read_text()
    let_in = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    copied = [
        name
        for line in text.splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for name in line.split()[1:-1]
    ]
    assert copied
    assert set(copied) <= let_in
    assert all((ROOT / name).exists() for name in copied)


def test_every_service_waits_for_what_it_needs():
    services = COMPOSE["services"]
    for service in services.values():
        for needed, how in service.get("depends_on", {}).items():
            condition = how["condition"]
            assert condition != "service_healthy" or "healthcheck" in services[needed]
