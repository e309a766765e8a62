from modelgenerator.service.jobs.checkpoint_keys import checkpoint_key, read_key

JOB = "0" * 31 + "a"


def key(step: int, used_ms: int = 45_000, attempt: int = 1) -> str:
    folder = f"organizations/o/trainings/t/attempts/{JOB}-{attempt:04}"
    return checkpoint_key(folder, step=step, first_step=60, used_ms=used_ms)


def test_a_key_says_how_far_it_is_and_what_was_used():
    name = read_key(key(120))
    assert (name.step, name.first_step, name.used_ms) == (120, 60, 45_000)
    assert (name.prefix, name.job) == ("organizations/o/trainings/t", JOB)


def test_keys_sort_by_attempt_and_step():
    keys = [key(9, 999_999), key(10, 1_000_000), key(1, attempt=2), key(1, attempt=10)]
    assert sorted(keys) == keys


def test_other_files_are_none():
    for other in (f"a/attempts/{JOB}-0001/lora.safetensors", "a/checkpoint.safetensors", ""):
        assert read_key(other) is None
