from uuid import UUID

import pytest

from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.store.keys import checked_key, organization_key

ORGANIZATION = UUID(int=7)


def test_a_key_lies_below_its_organization():
    key = organization_key(ORGANIZATION, "pictures", "a.png")
    assert key == "organizations/00000000000000000000000000000007/pictures/a.png"
    assert key.startswith(organization_key(ORGANIZATION) + "/")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "a/",
        ".hidden",
        "a/..",
        "a b",
        "a\\b",
        "a\x00b",
        "ä.png",
        "a\n",
        "C:x",
        "%2e%2e/x",
        "a/" * 500 + "b",
    ],
)
def test_what_leads_elsewhere_is_no_key(key):
    with pytest.raises(InvalidValue):
        checked_key(key)
