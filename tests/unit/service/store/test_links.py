from datetime import timedelta

import pytest
from tests.remembered import START

from modelgenerator.service.errors import LinkRefused
from modelgenerator.service.store.links import LinkSigner

SIGNER = LinkSigner([b"new" * 11, b"old" * 11])
END = START + timedelta(minutes=5)
TOKEN = SIGNER.sign("GET", "a/b.png", END)


def test_a_link_opens_its_file_until_it_expires():
    SIGNER.check(TOKEN, "GET", "a/b.png", START)
    SIGNER.check(TOKEN, "get", "a/b.png", END - timedelta(microseconds=1))
    with pytest.raises(LinkRefused):
        SIGNER.check(TOKEN, "GET", "a/b.png", END)


@pytest.mark.parametrize(("method", "key"), [("PUT", "a/b.png"), ("GET", "a/c.png")])
def test_it_opens_nothing_else(method, key):
    with pytest.raises(LinkRefused):
        SIGNER.check(TOKEN, method, key, START)


@pytest.mark.parametrize("position", range(len(TOKEN)))
def test_no_letter_of_it_can_be_changed(position):
    other = "0" if TOKEN[position] != "0" else "1"
    altered = TOKEN[:position] + other + TOKEN[position + 1 :]
    if position == len(TOKEN) - 1:
        altered = TOKEN[:position]  # the last letter has two bits that mean nothing
    with pytest.raises(LinkRefused):
        SIGNER.check(altered, "GET", "a/b.png", START)


@pytest.mark.parametrize("token", ["", ".", "x.y", "-1.abc", "9" * 40 + ".abc", "ä.ö", "\u0661.x"])
def test_what_is_no_token_is_refused(token):
    with pytest.raises(LinkRefused):
        SIGNER.check(token, "GET", "a/b.png", START)


def test_an_old_secret_still_opens_and_a_dropped_one_does_not():
    old = LinkSigner([b"old" * 11]).sign("GET", "a/b.png", END)
    SIGNER.check(old, "GET", "a/b.png", START)
    with pytest.raises(LinkRefused):
        LinkSigner([b"new" * 11]).check(old, "GET", "a/b.png", START)
