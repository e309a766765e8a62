"""A person before a browser: Chromium, driven, and watched for what no page of ours may do.

Every page that is looked at is held to this: no request leaves the host and the bucket that
pictures are in, the console shows no error, and axe finds no serious fault of accessibility.
"""

import os
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe  # pyright: ignore[reportMissingTypeStubs]
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Locator,
    Page,
    expect,
    sync_playwright,
)
from tests.deployments import storage_host
from tests.server import Server

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
SHOTS = Path("runs/screenshots")
"""Where pictures of the pages are kept, for people to look at."""
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
_MOST_TABS = 200
_SERIOUS = ("serious", "critical")


def chromium() -> str:
    """Where it is; a machine without it skips the test, and CI fails."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        assert not os.environ.get("CI"), "CI tests the dashboard in Chromium: install it"
        pytest.skip("no Chromium is installed: the dashboard is not tried in a browser")
    return found


@contextmanager
def a_browser() -> Generator[Browser, None, None]:
    """Chromium without a window."""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_QUIET)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Person:
    """Somebody with a browser window of his own."""

    page: Page
    base_url: str
    outside: list[str] = field(default_factory=list[str])
    """Addresses on other hosts that the page asked for."""
    complaints: list[str] = field(default_factory=list[str])
    """What the browser's console called an error."""
    faults: list[str] = field(default_factory=list[str])
    """What axe found."""

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self._note_request(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda said: self._note_complaint(said.text) if said.type == "error" else None,
        )

    def _note_complaint(self, text: str) -> None:
        self.complaints.append(f"{self.page.url}: {text}")

    def _note_request(self, url: str) -> None:
        parts = urlsplit(url)
        ours = (urlsplit(self.base_url).netloc, storage_host())
        if parts.scheme not in ("data", "blob") and parts.netloc not in ours:
            self.outside.append(url)

    def open(self, path: str) -> None:
        """Go to a page by its address."""
        self.page.goto(self.base_url + path)

    def look(self, name: str) -> None:
        """Keep a picture of the page, and let axe look at it."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
        for fault in Axe().run(self.page).response["violations"]:
            if fault["impact"] in _SERIOUS:
                nodes = "; ".join(node["html"][:200] for node in fault["nodes"][:3])
                self.faults.append(f"{name}: {fault['id']}: {fault['help']}: {nodes}")

    def press(self, control: Locator, key: str = "Enter") -> None:
        """Go to a control with the Tab key alone, and press a key on it."""
        expect(control).to_be_visible()
        for _ in range(_MOST_TABS):
            if control.evaluate("one => one === document.activeElement"):
                self.page.keyboard.press(key)
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"the Tab key does not lead to {control}")

    def sign_in(self, email: str, password: str) -> None:
        """By the form."""
        self.open("/sign-in")
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(re.compile(r"^(?!.*/sign-in)"))

    def assert_well(self) -> None:
        """No page did what none may."""
        assert self.outside == []
        assert self.complaints == []
        assert self.faults == [], "\n".join(self.faults)


@contextmanager
def a_person(
    browser: Browser, base_url: str, viewport: dict[str, int] | None = None, **more: object
) -> Generator[Person, None, None]:
    """A fresh profile: no cookie, nothing kept."""
    context: BrowserContext = browser.new_context(viewport=viewport or DESK, **more)  # type: ignore[arg-type]
    try:
        yield Person(context.new_page(), base_url)
    finally:
        context.close()


def administrator(server: Server) -> tuple[str, str]:
    """What the first start printed: an e-mail address and a password."""
    email = re.search(r"e-mail\s+(\S+)", server.said)
    password = re.search(r"password\s+(\S+)", server.said)
    assert email is not None, server.said
    assert password is not None, server.said
    return email.group(1), password.group(1)
