"""The form that asks for pictures, from the fields to the request and back."""

from uuid import UUID

import pytest

from modelgenerator.service.dashboard.drawing_form import DrawingForm, about_fields, place_of
from modelgenerator.service.records.job_specs import LoraToLoad, PictureToDraw

TRAINING = UUID(int=7)
PICTURE = PictureToDraw(
    position=0,
    base_model="creatures",
    base_revision=None,
    lora=LoraToLoad(training_id=TRAINING, storage_key="organizations/x", sha256="0"),
    settings={"prompt": "lvff", "steps": 9, "seed": 5, "count": 1},
    format="webp",
)


def test_empty_fields_are_left_to_the_base_model():
    form = DrawingForm.of({"model": str(TRAINING), "prompt": "a\r\nb", "steps": "", "seed": ""})
    assert form.image() == {"prompt": "a\nb"}
    assert form.request().training_id == TRAINING
    assert form.request().base_model is None
    assert form.faults() == {}


def test_numbers_are_numbers_and_what_is_none_is_said():
    form = DrawingForm.of({"model": "base:sd15", "prompt": "a", "steps": "9", "loraScale": "0.5"})
    assert form.image() == {"prompt": "a", "steps": 9, "loraScale": 0.5}
    assert form.base_model == "sd15"
    wrong = form.with_fields(count="many", guidanceScale="nan")
    assert set(wrong.faults()) == {"count", "guidanceScale"}
    assert wrong.count == 1


def test_a_form_without_a_model_or_a_prompt_asks_for_them():
    assert set(DrawingForm.of({"prompt": " "}).faults()) == {"model", "prompt"}


def test_a_picture_becomes_the_form_that_asked_for_it():
    form = DrawingForm.again(PICTURE, keeps_seed=True)
    assert form.training_id == TRAINING
    assert form.fields == {
        "prompt": "lvff",
        "steps": "9",
        "seed": "5",
        "count": "1",
        "format": "webp",
    }
    assert "seed" not in DrawingForm.again(PICTURE, keeps_seed=False).fields


def test_code_says_what_the_form_says():
    form = DrawingForm.of({"model": str(TRAINING), "prompt": "it's", "negativePrompt": "rain"})
    (call,) = form.as_code()
    assert call.body == {
        "images": [{"prompt": "it's", "negativePrompt": "rain"}],
        "trainingId": str(TRAINING),
    }
    written = call.as_python("http://here")
    compile(written, "shown", "exec")
    assert "negative_prompt='rain'" in written


@pytest.mark.parametrize(
    ("sentence", "place"),
    [
        ("images[0]: width 33: it draws sides in multiples of 8.", "width"),
        ("images[0]: negativePrompt: it takes none.", "negativePrompt"),
        ("images[0]: give baseModel or trainingId, or both.", None),
        ("2 settings cannot be used:", None),
    ],
)
def test_a_sentence_is_put_at_the_field_that_it_is_about(sentence: str, place: str | None):
    assert place_of(sentence) == place


def test_every_field_has_a_sentence_and_a_range():
    about = about_fields()
    assert about["steps"]["allowed"] == "a whole number from 1 to 60"
    assert all(each["says"] for each in about.values())
