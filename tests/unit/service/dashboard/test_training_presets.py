"""What a training can begin with."""

from pathlib import Path

import pyjson5

from modelgenerator.diffusion import hub
from modelgenerator.service.dashboard.training_presets import (
    BASE_MODELS,
    PORTRAIT_SETTINGS,
    chosen,
    presets,
)
from modelgenerator.setting_faults import faults_in
from modelgenerator.settings import TrainingSettings


def test_the_portrait_is_the_guides() -> None:
    guide = pyjson5.decode(Path("docs/guide/portrait.json5").read_text())
    assert dict(PORTRAIT_SETTINGS) == guide["parameters"]["settings"]


def test_the_embedded_base_model_recommends_its_own_settings() -> None:
    (recommended, quick, *_) = presets("creatures", hub.look_at("creatures"), ())
    assert recommended.title == "Recommended for creatures"
    assert recommended.base_model == "creatures"
    assert recommended.settings["epochs"] == 300
    assert quick.settings == {**recommended.settings, "maxSteps": 60}


def test_every_preset_can_be_trained() -> None:
    for base in ("", "an/unknown-one"):
        for preset in presets(base, None, ()):
            settings = {"baseModel": preset.base_model, **preset.settings}
            assert faults_in(settings, TrainingSettings) == []


def test_a_preset_that_is_not_there_is_the_first() -> None:
    all_of_them = presets("", None, ())
    assert chosen(all_of_them, "portrait").key == "portrait"
    assert chosen(all_of_them, "gone") is all_of_them[0]


def test_the_built_in_base_model_is_offered_first() -> None:
    assert next(iter(BASE_MODELS)) == "modelgenerator/creatures"
