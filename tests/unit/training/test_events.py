import json
import math
from pathlib import Path

from modelgenerator.notices import Notice
from modelgenerator.training.events import LoraSaved, Noticed, StepFinished, as_json

STEP = StepFinished(step=3, epoch=1, loss=0.5, learning_rate=1.0, d=1e-6, gradient_norm=0.25)


def test_an_event_is_its_name_and_its_fields_in_camel_case():
    assert as_json(STEP) == {
        "event": "stepFinished",
        "step": 3,
        "epoch": 1,
        "loss": 0.5,
        "learningRate": 1.0,
        "d": 1e-6,
        "gradientNorm": 0.25,
    }


def test_a_file_is_its_path_as_text():
    assert as_json(LoraSaved(epoch=1, file=Path("a") / "b"))["file"] == "a/b"


def test_what_is_not_finite_is_null():
    skipped = StepFinished(
        step=1, epoch=1, loss=0.5, learning_rate=1.0, d=1.0, gradient_norm=math.inf
    )
    assert json.loads(json.dumps(as_json(skipped), allow_nan=False))["gradientNorm"] is None


def test_a_notice_is_kept_with_its_setting():
    event = Noticed(notice=Notice("warning", "d0", "d did not grow."))
    assert as_json(event) == {
        "event": "noticed",
        "notice": {"level": "warning", "setting": "d0", "message": "d did not grow."},
    }
