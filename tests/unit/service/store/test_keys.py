from uuid import UUID

import pytest

from modelgenerator.service.errors import InvalidValue
from modelgenerator.service.store.keys import checked_key, hashed_name, organization_key, sha256_in

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


def test_a_name_says_which_bytes_are_there_where_it_was_told():
    sha256 = "0123456789abcdef" * 4
    key = organization_key(UUID(int=1), "masks", hashed_name("ab", sha256, ".png"))
    assert sha256_in(key) == sha256
    assert sha256_in(organization_key(UUID(int=1), "masks", "ab.png")) is None
    assert sha256_in(f"{key}.webp") is None
