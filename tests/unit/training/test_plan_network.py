"""What a plan makes of the settings of the network."""

import pytest
from tests.examples import dataset_of

from modelgenerator.diffusion.detection import FamilyName
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import InvalidSettings
from modelgenerator.settings import TrainingSettings
from modelgenerator.training.plan import DeviceFacts, TrainingPlan
from modelgenerator.training.planning.resolve import resolve

DATASET = dataset_of([(64, 64)])
BASE = BaseModelFiles(
    reference="base",
    folder=None,
    repository=None,
    revision=None,
    family=FamilyName.STABLE_DIFFUSION_1,
    pipeline_class="StableDiffusionPipeline",
    prediction_type="epsilon",
    native_size=64,
    size_step=8,
    variant=None,
    needed=(),
    is_builtin=False,
    licence=None,
)


def plan(**written: object) -> TrainingPlan:
    settings = TrainingSettings.from_written(
        {"baseModel": "base", "resolution": 64, "epochs": 1, "seed": 1, **written}
    )
    return resolve(settings, DATASET, BASE, DeviceFacts(kind="cpu", has_bf16=False))


def test_attention_is_corrected_when_nothing_is_written():
    assert plan().network_targets == ("attention",)


def test_convolutions_are_corrected_when_they_are_asked_for():
    written = ["convolutions", "attention", "convolutions"]
    asked = plan(networkTargets=written)
    assert asked.network_targets == ("attention", "convolutions")
    assert asked.digest == plan(networkTargets=["attention", "convolutions"]).digest
    assert asked.digest != plan().digest


@pytest.mark.parametrize("written", [[], ["convolution"], "attention"], ids=str)
def test_other_targets_are_refused_with_those_there_are(written: object):
    with pytest.raises(InvalidSettings, match="a list of attention, convolutions, not"):
        plan(networkTargets=written)
