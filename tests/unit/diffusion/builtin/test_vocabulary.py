from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from modelgenerator.diffusion.builtin import world
from modelgenerator.diffusion.builtin.subjects import SUBJECTS
from modelgenerator.diffusion.builtin.vocabulary import LENGTH, write_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> CLIPTokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    write_tokenizer(folder, captions=1_000)
    return CLIPTokenizer.from_pretrained(folder)


def test_every_caption_fits(tokenizer: CLIPTokenizer):
    captions = [world.picture(seed).caption for seed in range(2_000)]
    assert max(len(ids) for ids in tokenizer(captions).input_ids) <= LENGTH


def test_the_longest_thing_that_can_be_said_fits(tokenizer: CLIPTokenizer):
    longest = (
        "a small purple striped triangle creature with three eyes, bunny ears and a party hat "
        "on a plain purple background"
    )
    assert len(tokenizer(longest).input_ids) <= LENGTH


def test_every_word_of_the_world_is_one_token(tokenizer: CLIPTokenizer):
    words = {*world.COLOURS, *world.SHAPES, "striped", "spotted", "creature", "snow", "crown"}
    assert {word for word in words if len(tokenizer.tokenize(word)) != 1} == set()


@pytest.mark.parametrize("trigger", [*SUBJECTS, "Żółw", "火"])
def test_a_trigger_word_that_no_caption_holds_keeps_its_letters(
    tokenizer: CLIPTokenizer, trigger: str
):
    ids = tokenizer(trigger, add_special_tokens=False).input_ids
    assert tokenizer.eos_token_id not in ids
    assert tokenizer.decode(ids).strip() == trigger.lower()


def test_two_trigger_words_have_different_tokens(tokenizer: CLIPTokenizer):
    assert len({tuple(tokenizer(name).input_ids) for name in SUBJECTS}) == len(SUBJECTS)


def test_the_same_captions_give_the_same_files(tmp_path: Path):
    for name in ("one", "two"):
        write_tokenizer(tmp_path / name, captions=200)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
