import pytest
from tests.examples import base_files, flux_files, sd3_files

from modelgenerator.diffusion import recommended
from modelgenerator.diffusion.hub import BaseModelFiles
from modelgenerator.errors import InvalidSettings
from modelgenerator.generation.wishes import PlannedImage, plan_images
from modelgenerator.settings import ImageSettings


def planned(**wish: object) -> list[PlannedImage]:
    return plan_images([ImageSettings.from_written({"prompt": "lvff", **wish})], base_files())


def test_the_pictures_of_one_wish_have_consecutive_seeds():
    assert [one.request.seed for one in planned(count=3, seed=7)] == [7, 8, 9]


def test_seeds_start_again_at_zero_after_the_highest():
    assert [one.request.seed for one in planned(count=2, seed=2**63 - 1)] == [2**63 - 1, 0]


def test_a_seed_that_is_not_given_is_drawn():
    assert planned()[0].request.seed != planned()[0].request.seed


def test_what_is_left_open_is_the_base_models_own(tmp_path):
    (tmp_path / recommended.FILE).write_text('{"images": {"guidanceScale": 3}}')
    wish = ImageSettings(prompt="lvff")
    (one,) = plan_images([wish], base_files(native_size=768, folder=tmp_path))
    assert (one.request.width, one.request.height, one.request.guidance_scale) == (768, 768, 3.0)


def steps_for(base: BaseModelFiles, **wish: object) -> int:
    (one,) = plan_images([ImageSettings.from_written({"prompt": "lvff", **wish})], base)
    return one.request.steps


def test_steps_that_are_not_given_are_as_many_as_suit_the_base_model(tmp_path):
    (tmp_path / recommended.FILE).write_text('{"images": {"steps": 12}}')
    assert steps_for(base_files(folder=tmp_path)) == 12
    assert steps_for(base_files()) == 25
    assert steps_for(flux_files(dev=False)) == 4
    assert steps_for(flux_files()) == 28


def test_steps_that_are_given_are_taken_though_they_are_the_published_default():
    assert ImageSettings(prompt="lvff").steps == 25
    assert steps_for(flux_files(dev=False), steps=25) == 25


def test_a_number_of_steps_that_is_not_usual_is_told():
    (told,) = recommended.steps_notices(flux_files(dev=False))
    assert (told.level, told.setting) == ("info", "steps")
    assert told.message.startswith("4 suit")
    assert not list(recommended.steps_notices(base_files()))


def test_what_is_wished_is_asked_for():
    (one,) = planned(
        width=128, height=192, steps=9, guidanceScale=0.0, negativePrompt="rain", loraScale=0.5
    )
    request = one.request
    assert (request.width, request.height, request.steps) == (128, 192, 9)
    assert (request.guidance_scale, request.negative_prompt) == (0.0, "rain")
    assert one.lora_scale == 0.5


@pytest.mark.parametrize("side", ["width", "height"])
@pytest.mark.parametrize(("given", "nearest"), [(200, "192 or 256"), (8, "64"), (2040, "1984")])
def test_a_side_between_steps_is_refused_with_the_nearest_ones(side: str, given: int, nearest: str):
    with pytest.raises(
        InvalidSettings, match=rf"{side} {given}: .*multiples of 64. Give {nearest}"
    ):
        planned(**{side: given})


def test_pictures_of_several_wishes_keep_their_order():
    wishes = [ImageSettings(prompt=prompt, count=2, seed=0) for prompt in ("one", "two")]
    prompts = [one.request.prompt for one in plan_images(wishes, base_files())]
    assert prompts == ["one", "one", "two", "two"]


def test_a_negative_prompt_is_refused_where_none_is_taken():
    with pytest.raises(InvalidSettings, match="negativePrompt: org/name takes none"):
        plan_images([ImageSettings(prompt="lvff", negative_prompt="rain")], flux_files())
    (one,) = plan_images([ImageSettings(prompt="lvff")], flux_files())
    assert (one.request.negative_prompt, one.request.guidance_scale) == ("", 3.5)


def test_a_side_beyond_the_places_of_the_base_model_is_refused():
    with pytest.raises(InvalidSettings, match=r"width 1024: .* beyond 512 pixels"):
        plan_images([ImageSettings(prompt="lvff", width=1024)], sd3_files(longest_side=512))
