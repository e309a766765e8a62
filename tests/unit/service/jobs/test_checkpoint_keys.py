from modelgenerator.service.jobs.checkpoint_keys import (
    checkpoint_key,
    is_checkpoint,
    used_ms_of,
)


def test_a_key_says_how_far_it_is_and_what_was_used():
    key = checkpoint_key("a/attempts/b-0001", 120, 45_000)
    assert is_checkpoint(key)
    assert used_ms_of(key) == 45_000
    assert checkpoint_key("a", 9, 999_999) < checkpoint_key("a", 10, 1_000_000)


def test_other_files_are_none():
    for key in ("a/attempts/b-0001/lora.safetensors", "a/checkpoint.safetensors"):
        assert not is_checkpoint(key)
        assert used_ms_of(key) == 0
