"""How soon is a page of the dashboard seen, in an organization that has worked for years?

    python benchmarks/pages.py                     # 1,000 trainings, 11,000 pictures; some minutes
    python benchmarks/pages.py --quick             # a tenth of that
    python benchmarks/pages.py --only /generate /trainings

A real server on a folder that is thrown away, and Chromium on this machine.  Each page is opened
some times without anything kept from before, and some times again; the first paint with content is
what the browser itself says.  The goal is one second.
"""

import argparse
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from page_records import Filled, Size, fill
from playwright.sync_api import Browser, BrowserContext, Page, Response, sync_playwright
from served import Served, served

from modelgenerator.service.config import ServiceConfig
from modelgenerator.service.operations.first_start import first_start
from modelgenerator.service.operations.service import opened

FULL = Size(trainings=1_000, inferences=2_500, dataset_pictures=500)
QUICK = Size(trainings=100, inferences=250, dataset_pictures=100)
GOAL_MS = 1_000
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_PAINT = """() => new Promise(tell => {
  const painted = () => performance.getEntriesByName("first-contentful-paint")[0];
  if (painted()) tell(painted().startTime);
  else new PerformanceObserver(list => {
    if (painted()) tell(painted().startTime);
  }).observe({ type: "paint", buffered: true });
})"""
_LOADED = """() => {
  const [page] = performance.getEntriesByType("navigation");
  return [page.responseStart, page.loadEventEnd, page.decodedBodySize];
}"""


class Broken(Exception):
    """A page that is not shown, with the status that it has instead."""


@dataclass(frozen=True)
class Seen:
    """One opening of a page; milliseconds since the address was asked for."""

    first_byte: float
    painted: float
    loaded: float
    """With every picture that is not below the window."""
    kilobytes: float
    """Of HTML."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of everything")
    parser.add_argument("--turns", type=int, default=5, help="how often each page is opened")
    parser.add_argument("--only", nargs="+", help="addresses that begin like this")
    arguments = parser.parse_args()
    size = QUICK if arguments.quick else FULL
    with tempfile.TemporaryDirectory() as scratch:
        _measure(Path(scratch) / "data", size, arguments.turns, arguments.only or ("",))


def _measure(data_dir: Path, size: Size, turns: int, only: Sequence[str]) -> None:
    with opened(ServiceConfig(data_dir=data_dir)) as service:
        first = first_start(service)
        assert first is not None
        filled = fill(service, size)
    print(
        f"{size.trainings:,} trainings, {filled.pictures:,} pictures, a subject with "
        f"{size.dataset_pictures} photos, load average {os.getloadavg()[0]:.1f}\n"
    )
    addresses = [it for it in _addresses(filled) if it.startswith(tuple(only))]
    with served(data_dir, first.key) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=_ARGUMENTS)
        signed_in = _signed_in(browser, server, first.email, first.password)
        print("| page | first byte, ms | first paint | seen again | loaded | HTML, kB | |")
        print("|---|---|---|---|---|---|---|")
        slow = [it for it in addresses if not _line(browser, server, signed_in, it, turns)]
        browser.close()
    print(f"\n{len(addresses) - len(slow)} of {len(addresses)} pages within {GOAL_MS} ms")


def _addresses(filled: Filled) -> list[str]:
    subject, training, other = filled.subject_id, filled.training_id, filled.other_training_id
    return [
        "/",
        "/subjects",
        f"/subjects/{subject}",
        "/trainings",
        f"/trainings/new?subject={subject}",
        f"/trainings/sweep?subject={subject}",
        f"/trainings/{training}",
        f"/trainings/compare?id={training}&id={other}",
        "/generate",
        f"/generate?training={training}",
        f"/generate/{filled.inference_id}",
        "/packs",
        f"/packs/{filled.pack_id}",
        "/flows",
        f"/flows/{filled.flow_id}",
        "/models",
        "/templates",
        "/billing",
        "/organization",
        "/api-keys",
        "/webhooks",
        "/storage",
        "/logs",
        "/cluster",
    ]


def _line(browser: Browser, server: Served, signed_in: Any, address: str, turns: int) -> bool:
    """Opens a page, prints its line; whether it keeps the goal."""
    shown = re.sub(r"[0-9a-f-]{36}", "...", address)
    try:
        _opened(browser, server, signed_in, address)  # the first one warms the server
    except Broken as broken:
        print(f"| `{shown}` | | | | | | answers {broken} |", flush=True)
        return False
    fresh: list[Seen] = []
    again: list[Seen] = []
    for _ in range(turns):
        first, second = _opened(browser, server, signed_in, address)
        fresh.append(first)
        again.append(second)
    painted = median(it.painted for it in fresh)
    worst = max(it.painted for it in fresh)
    cells = [
        f"{median(it.first_byte for it in fresh):.0f}",
        f"{painted:.0f} (at most {worst:.0f})",
        f"{median(it.painted for it in again):.0f}",
        f"{median(it.loaded for it in fresh):.0f}",
        f"{fresh[0].kilobytes:.0f}",
    ]
    is_kept = painted <= GOAL_MS
    print(f"| `{shown}` | {' | '.join(cells)} | {'' if is_kept else 'slow'} |", flush=True)
    return is_kept


def _opened(browser: Browser, server: Served, signed_in: Any, address: str) -> tuple[Seen, Seen]:
    """With an empty cache, and once more with what was kept."""
    context = browser.new_context(storage_state=signed_in, viewport={"width": 1280, "height": 900})
    try:
        page = context.new_page()
        return _seen(page, server.url + address), _seen(page, server.url + address)
    finally:
        context.close()


def _seen(page: Page, url: str) -> Seen:
    answer: Response | None = page.goto(url)
    assert answer is not None
    if answer.status != 200:
        raise Broken(answer.status)
    painted = float(page.evaluate(_PAINT))
    first_byte, loaded, size = page.evaluate(_LOADED)
    return Seen(first_byte, painted, loaded, size / 1e3)


def _signed_in(browser: Browser, server: Served, email: str, password: str) -> Any:
    context: BrowserContext = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/sign-in")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.url}/")
    state = context.storage_state()
    context.close()
    return state


def _chromium() -> str:
    found = next((path for name in _CHROMIUM if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit("No Chromium is installed.")
    return found


if __name__ == "__main__":
    main()
