"""What a machine has is the same whoever is asked."""

import dataclasses

from modelgenerator.training.this_machine import asked_elsewhere, asked_here


def test_another_process_tells_what_this_one_would():
    elsewhere, here = asked_elsewhere(2), asked_here(2)
    # memory comes and goes between the two
    assert dataclasses.replace(elsewhere, free_bytes=None) == dataclasses.replace(
        here, free_bytes=None
    )
    assert type(elsewhere.free_bytes) is type(here.free_bytes)
