"""Who asks."""

from uuid import UUID

from modelgenerator.service.operations.callers import Caller, RequestKey
from modelgenerator.service.records.organizations import Role


def test_each_of_several_things_has_a_key_of_its_own():
    request = RequestKey("form a", "/packs")
    caller = Caller(organization_id=UUID(int=1), role=Role.MEMBER, request=request)
    assert [caller.numbered(number).request for number in range(2)] == [
        RequestKey("form a 0", "/packs"),
        RequestKey("form a 1", "/packs"),
    ]


def test_who_has_no_key_has_none_for_one_of_several():
    caller = Caller(organization_id=UUID(int=1), role=Role.MEMBER)
    assert caller.numbered(3) is caller
