"""The drawn world: whoever changes it makes every base model that learnt it a liar."""

import hashlib
import random
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.scenes import LAYOUTS, PHRASES, backdrop
from modelgenerator.diffusion.builtin.subjects import SUBJECTS
from modelgenerator.diffusion.builtin.world import TRAITS, Picture, lookalike, paint_creature

MANY = range(3_000)


@pytest.fixture(scope="module")
def pictures() -> list[Picture]:
    return [world.picture(seed) for seed in MANY]


def fingerprint(some: Iterable[Picture]) -> str:
    digest = hashlib.sha256()
    for picture in some:
        for array in (picture.pixels_HW3, picture.creature_HW, picture.head_HW):
            digest.update(array.tobytes())
        digest.update(picture.caption.encode())
    return digest.hexdigest()


def test_the_same_seed_gives_the_same_picture():
    assert fingerprint(map(world.picture, range(20))) == fingerprint(map(world.picture, range(20)))


def test_another_seed_gives_another_picture(pictures: list[Picture]):
    assert len({picture.pixels_HW3.tobytes() for picture in pictures}) == len(MANY)


def test_the_world_is_the_one_that_the_shipped_base_model_learnt(pictures: list[Picture]):
    expected = "869d0dd0cf262ef270519a34214694ee159723ad0fae4ec78071a4623bfd319f"
    assert fingerprint(pictures[:500]) == expected


def test_the_subjects_are_the_ones_that_were_measured():
    drawn = (
        world.subject_picture(name, scene, seed)
        for name in SUBJECTS
        for scene in world.SCENES
        for seed in range(10)
    )
    expected = "214cd271549e73c2a5c7fd4d4bb7dbd0dc260dc6cb25308f60c3802387b5583c"
    assert fingerprint(drawn) == expected


# Captions


def spoken(picture: Picture) -> tuple[list[str], str]:
    """The words before "creature", and what follows it."""
    before, _, after = picture.caption.partition("creature")
    return before.split()[1:], after


def test_the_adjectives_of_a_caption_are_true(pictures: list[Picture]):
    for picture in pictures:
        creature = picture.creature
        known = {creature.size, creature.pattern, creature.shape}
        known |= {word for word, colour in world.COLOURS.items() if colour == creature.colour}
        assert set(spoken(picture)[0]) <= known - {"plain", "tiled", "blob"}, picture.caption


def test_the_features_of_a_caption_are_true(pictures: list[Picture]):
    for picture in pictures:
        creature, (_, said) = picture.creature, spoken(picture)
        assert ("one eye" in said) <= (creature.eyes == 1)
        assert ("three eyes" in said) <= (creature.eyes == 3)
        assert all(ears == creature.ears for ears in world.EARS[1:] if ears in said)
        assert all(hat == creature.hat for name, hat in world.HATS.items() if f"a {name}" in said)
        assert ("a hat" in said) <= (creature.hat not in (None, *world.HATS.values()))


def test_the_place_in_a_caption_is_true(pictures: list[Picture]):
    for picture in pictures:
        said = spoken(picture)[1]
        assert all(scene == picture.scene for scene, phrase in PHRASES.items() if phrase in said)
        assert ("on a plain" in said) <= (picture.scene == "plain")


def test_the_colour_of_a_plain_background_is_true(pictures: list[Picture]):
    for picture in pictures:
        word = picture.caption.removesuffix(" background").rpartition(" plain ")[2]
        if word not in world.COLOURS:
            continue
        seen = picture.pixels_HW3[~picture.creature_HW].astype(int)
        expected = np.array(world.COLOURS[word]) * 0.65 + 255 * 0.35
        assert np.abs(seen - expected).max() <= 6, picture.caption


def test_a_caption_leaves_things_out_now_and_then(pictures: list[Picture]):
    bare = sum(picture.caption.startswith("a creature ") for picture in pictures)
    assert 0.04 * len(MANY) < bare < 0.12 * len(MANY)


def test_a_subject_is_never_described():
    captions = {world.subject_picture(name, "snow", 1).caption for name in SUBJECTS}
    assert captions == {"creature in the snow"}


# Masks


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_mask_is_exactly_where_a_picture_is_not_background(name: str):
    for seed in range(20):
        picture = world.subject_picture(name, "plain", seed)
        ground = picture.pixels_HW3[~picture.creature_HW][0]
        differs_HW = (picture.pixels_HW3 != ground).any(-1)
        assert (differs_HW == picture.creature_HW).all()


def test_outside_the_mask_there_is_nothing_but_the_scene(pictures: list[Picture]):
    for picture in pictures[:300]:
        if picture.scene == "plain":
            continue
        assert any(shows(picture, layout) for layout in range(LAYOUTS)), picture.caption


def shows(picture: Picture, layout: int) -> bool:
    behind = backdrop(picture.scene, layout)
    expected_HW3 = np.array(behind.colours)[behind.indices_HW]
    far_HW = np.abs(picture.pixels_HW3.astype(int) - expected_HW3).max(-1) > 5
    return not far_HW[~picture.creature_HW].any()


def test_a_head_is_the_upper_part_of_its_creature(pictures: list[Picture]):
    for picture in pictures[:300]:
        assert picture.head_HW.any()
        lowest = np.flatnonzero(picture.head_HW.any(1))[-1]
        assert (picture.head_HW[: lowest + 1] == picture.creature_HW[: lowest + 1]).all()
        assert picture.creature_HW[lowest + 1 :].any()


# What pre-training must not have seen


def test_pre_training_draws_no_shape_or_pattern_of_a_subject(pictures: list[Picture]):
    shapes = {picture.creature.shape for picture in pictures}
    patterns = {picture.creature.pattern for picture in pictures}
    assert shapes == {*world.SHAPES, "blob"}
    assert patterns == {*world.PATTERNS, "tiled"}
    assert shapes.isdisjoint(subject.shape for subject in SUBJECTS.values())
    assert patterns.isdisjoint(subject.pattern for subject in SUBJECTS.values())


def test_pre_training_draws_no_hat_of_a_subject(pictures: list[Picture]):
    drawn = {picture.creature.hat.art for picture in pictures if picture.creature.hat}
    assert drawn.isdisjoint(subject.hat.art for subject in SUBJECTS.values() if subject.hat)


def test_pre_training_draws_no_body_that_is_patterned_like_a_subject(pictures: list[Picture]):
    tiled = [picture.creature for picture in pictures if picture.creature.tile]
    for pattern in {subject.pattern for subject in SUBJECTS.values()}:
        for creature in tiled[:100]:
            assert not same_looks(creature, replace(creature, pattern=pattern, tile=()))


# Lookalikes


def same_looks(one: world.Creature, other: world.Creature) -> bool:
    first, second = (paint_creature(creature, "plain", 0).pixels_HW3 for creature in (one, other))
    return np.array_equal(first, second)


def differing(creature: world.Creature, other: world.Creature) -> list[str]:
    return [
        trait for trait, take in TRAITS.items() if not same_looks(creature, take(creature, other))
    ]


@pytest.mark.parametrize("traits", range(1, len(TRAITS) + 1))
def test_a_lookalike_of_a_subject_differs_in_just_so_many_traits(traits: int):
    for seed in range(30):
        subject = SUBJECTS[sorted(SUBJECTS)[seed % len(SUBJECTS)]]
        assert len(differing(subject, lookalike(subject, seed, traits=traits))) == traits


@pytest.mark.parametrize("traits", range(1, len(TRAITS) + 1))
def test_a_lookalike_of_a_common_creature_differs_in_just_so_many_traits(traits: int):
    for seed in range(60):  # common ones share much: without drawing again some would not change
        creature = world.picture(seed).creature
        assert len(differing(creature, lookalike(creature, seed + 7, traits=traits))) == traits


def test_a_lookalike_keeps_size_and_ears():
    subject = replace(SUBJECTS["lvff"], size="small", ears="horns")
    other = lookalike(subject, 3, traits=5)
    assert (other.size, other.ears) == ("small", "horns")


def test_silence_can_be_turned_off():
    words = world.Words(
        size="big", colour="red", pattern="striped", shape="round", features=("horns", "a crown")
    )
    caption = world.caption_of(words, "in the snow", random.Random(1), silence=0)
    assert caption == "a big red striped round creature with horns and a crown in the snow"
