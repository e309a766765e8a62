"""The dashboard as people meet it: a real server, a real browser."""

from pathlib import Path

from tests.browsing import a_browser, a_person, administrator
from tests.server import server


def test_somebody_signs_in_and_out(tmp_path: Path) -> None:
    with server(tmp_path) as it, a_browser() as browser, a_person(browser, it.url) as person:
        person.open("/?from=elsewhere")
        person.look("sign-in")
        person.sign_in(*administrator(it))
        person.open("/")
        assert person.page.get_by_role("heading", level=1).inner_text() == "Home"
        person.look("home")
        person.page.get_by_role("button", name="Sign out").click()
        person.page.wait_for_url("**/sign-in")
        person.assert_well()
