import json
from dataclasses import replace

from modelgenerator.lora.metadata import TrainingFacts, build_metadata

FACTS = TrainingFacts(
    title="lvff",
    trigger_phrase="lvff",
    base_model="modelgenerator/creatures",
    architecture="stable-diffusion-v1",
    base_model_version="sd_v1",
    prediction_type="epsilon",
    resolution=(512, 768),
    rank=16,
    alpha=8,
    convolutions_trained=False,
    text_encoder_trained=True,
    optimizer="Prodigy",
    learning_rate=1.0,
    scheduler="Cosine",
    loss_type="L2",
    noise_offset=0.05,
    precision="fp32",
    seed=7,
    pictures=8,
    repeats=3,
    batch_size=2,
    steps_per_epoch=12,
    epochs=10,
    steps=120,
    plan={"networkDim": 16, "captionPrefix": "lvff"},
    version="0.1.0",
)


def test_every_value_is_a_string():
    assert all(isinstance(value, str) for value in build_metadata(FACTS).values())


def test_the_keys_that_other_programs_read_are_there():
    metadata = build_metadata(FACTS)
    expected = {
        "ss_output_name": "lvff",
        "ss_base_model_version": "sd_v1",
        "ss_v2": "False",
        "ss_network_module": "networks.lora",
        "ss_network_dim": "16",
        "ss_network_alpha": "8",
        "ss_mixed_precision": "no",
        "ss_num_train_images": "24",
        "ss_seed": "7",
        "ss_steps": "120",
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": "stable-diffusion-v1/lora",
        "modelspec.resolution": "512x768",
        "modelspec.prediction_type": "epsilon",
        "modelspec.trigger_phrase": "lvff",
        "modelgenerator.version": "0.1.0",
    }
    assert {key: metadata[key] for key in expected} == expected


def test_trained_convolutions_are_told_as_kohya_tells_them():
    assert build_metadata(FACTS)["ss_network_args"] == "{}"
    metadata = build_metadata(replace(FACTS, convolutions_trained=True))
    arguments = json.loads(metadata["ss_network_args"])
    assert arguments == {"conv_dim": "16", "conv_alpha": "8"}


def test_programs_can_suggest_the_trigger_phrase():
    frequency = json.loads(build_metadata(FACTS)["ss_tag_frequency"])
    assert frequency == {"dataset": {"lvff": 24}}


def test_no_trigger_phrase_suggests_nothing():
    metadata = build_metadata(replace(FACTS, trigger_phrase=""))
    assert json.loads(metadata["ss_tag_frequency"]) == {}


def test_stable_diffusion_2_with_v_prediction_says_so():
    facts = replace(FACTS, base_model_version="sd_v2_v", prediction_type="v_prediction")
    metadata = build_metadata(facts)
    assert metadata["ss_v2"] == "True"
    assert metadata["modelspec.prediction_type"] == "v"


def test_the_plan_can_be_read_back():
    assert json.loads(build_metadata(FACTS)["modelgenerator.plan"]) == FACTS.plan
