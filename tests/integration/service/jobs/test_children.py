"""The processes of executors: how they end is told as it was, and a stop is never lost."""

import threading
import time
from multiprocessing.connection import Pipe
from pathlib import Path
from uuid import UUID

import pytest

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.jobs.executors import child_process
from modelgenerator.service.jobs.executors.child import Child
from modelgenerator.service.jobs.messages import Assignment, Place, Stop
from modelgenerator.service.records.jobs import JobKind

ENDS_IN_ORDER = """
import os, time
def serve(descriptor, parent):
    os.close(descriptor)
    time.sleep(0.3)
    raise SystemExit(3)
"""
PATIENCE = 30.0
_OPEN: list[object] = []
"""Where a pipe is closed, whoever listens at its other end ends this process."""


def test_a_child_that_ends_in_order_is_not_said_to_be_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ends_in_order.py").write_text(ENDS_IN_ORDER)
    monkeypatch.syspath_prepend(tmp_path)
    child = Child("ends_in_order", {}, "begin")
    give_up = time.monotonic() + PATIENCE
    while child.is_alive and time.monotonic() < give_up:
        child.heard(0.01)
    assert child.how_it_died() == "ended with exit code 3"
    child.kill()


def test_a_stop_that_comes_before_its_attempt_stops_it(tmp_path: Path) -> None:
    near, far = Pipe()
    _OPEN.append(near)
    config = ServiceConfig.model_validate({"data_dir": tmp_path})
    place = Place(config=config, running=tmp_path, checkpoint_seconds=20)
    child = child_process._Child(far, place, None)  # type: ignore[arg-type]
    threading.Thread(target=child.listen, daemon=True).start()
    assignment = Assignment(job_id=UUID(int=1), attempt=1, kind=JobKind.TRAIN, spec={})
    near.send(Stop(assignment.name))
    near.send(assignment)
    heard, stop = child._waiting.get(timeout=PATIENCE)
    assert heard == assignment
    assert stop.is_set()
