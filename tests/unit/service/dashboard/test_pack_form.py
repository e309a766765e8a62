"""The form of an inference pack, from lines to images and back."""

import pytest

from modelgenerator.service.dashboard.pack_form import PackForm
from modelgenerator.service.errors import InvalidValue

IMAGES = ({"prompt": "a fox", "seed": 3, "steps": 9}, {"prompt": "two\nlines"})


def test_a_form_that_is_sent_as_it_was_shown_changes_nothing():
    for as_json in (False, True):
        form = PackForm.of("Scenes", IMAGES, as_json=as_json)
        assert form.images(IMAGES) == list(IMAGES)


def test_images_with_the_same_prompt_keep_their_own_settings():
    images = [{"prompt": "a fox", "seed": seed} for seed in (1, 2, 3)]
    form = PackForm.of("Scenes", images, as_json=False)
    assert form.images(images) == images
    longer = PackForm(prompts=f"{form.prompts}\na fox", seed="7")
    assert longer.images(images) == [*images, {"prompt": "a fox", "seed": 7}]


def test_a_new_line_gets_the_seed():
    form = PackForm(name="Scenes", prompts="a fox\n\n  a cat\n", seed="7")
    assert form.images(IMAGES) == [IMAGES[0], {"prompt": "a cat", "seed": 7}]


@pytest.mark.parametrize("seed", ["-1", "x", "1.5", str(2**63)])
def test_a_seed_that_is_none_is_refused(seed: str):
    with pytest.raises(InvalidValue, match="seed"):
        PackForm(prompts="a fox", seed=seed).images()


@pytest.mark.parametrize("text", ["", "[", "{}", "[]", "[1]", '"a fox"', "[" * 100_000])
def test_json_that_is_no_list_of_images_is_refused(text: str):
    with pytest.raises(InvalidValue) as refused:
        PackForm(json=text).images()
    assert refused.value.field == "images"
