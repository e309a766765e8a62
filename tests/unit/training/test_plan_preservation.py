"""What `priorPreservation` becomes in a plan."""

import pytest
from tests.examples import notices_on, plan_for

from modelgenerator.errors import InvalidSettings


def test_given_prompts_are_what_is_kept():
    plan = plan_for(priorPreservation=0.5, priorPrompts=["a tree", "a house"])
    assert (plan.prior_preservation, plan.prior_prompts) == (0.5, ("a tree", "a house"))


def test_captions_without_their_prefix_are_what_is_kept_each_once():
    plan = plan_for(priorPreservation=1.0, captionPrefix="lvff")
    assert plan.prior_prompts == ("",)  # all eight captions are the prefix alone


def test_nothing_is_kept_unless_it_is_asked_for():
    assert plan_for(captionPrefix="lvff").prior_prompts == ()


def test_keeping_is_refused_when_nothing_says_what():
    with pytest.raises(InvalidSettings, match=r"priorPreservation .* give priorPrompts"):
        plan_for(priorPreservation=1.0)


def test_prompts_without_preservation_are_warned_of():
    (message,) = notices_on(plan_for(priorPrompts=["a tree"]), "priorPrompts", "warning")
    assert message == "Ignored: without priorPreservation it has no effect."
