import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.remembered import START

from modelgenerator.service.records.ids import new_id
from modelgenerator.service.records.organizations import ApiKey, Role

KEY = ApiKey(
    id=new_id(START),
    organization_id=new_id(START),
    name="ci",
    prefix="mg_ab",
    hash="0" * 64,
    role=Role.MEMBER,
    created_by=None,
    created_at=START,
)


@pytest.mark.parametrize(("role", "needed"), list(itertools.product(Role, Role)))
def test_a_role_includes_itself_and_those_below(role, needed):
    order = ["owner", "admin", "member", "viewer"]
    assert role.may_act_as(needed) == (order.index(role) <= order.index(needed))


def test_a_key_is_valid_until_it_expires_or_is_revoked():
    assert KEY.is_valid(START)
    expiring = replace(KEY, expires_at=START + timedelta(seconds=1))
    assert expiring.is_valid(START)
    assert not expiring.is_valid(START + timedelta(seconds=1))
    assert not replace(KEY, revoked_at=START).is_valid(START)
