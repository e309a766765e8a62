"""A large form is taken where files are written to disk as they come, and nowhere else."""

from collections.abc import Iterator
from inspect import iscoroutinefunction
from pathlib import Path

import pytest
from tests.pages import signed_in
from tests.serving import serving

from modelgenerator.service.api.routes import ROUTERS
from modelgenerator.service.app.limits import RequestLimits, takes_uploads
from modelgenerator.service.dashboard.routes import ROUTERS as PAGES

PIECE = b"x" * 200_000
SMALL = RequestLimits(body_bytes=100_000)


def _routes() -> Iterator[tuple[str, bool]]:
    """Every address that something is sent to, and whether it reads the body itself."""
    for router in (*ROUTERS, *PAGES):
        for route in router.routes:
            methods = getattr(route, "methods", set())
            if methods & {"POST", "PUT", "PATCH"}:
                path: str = getattr(route, "path", "")
                yield path, iscoroutinefunction(getattr(route, "endpoint", None))


@pytest.mark.parametrize(("path", "reads_itself"), sorted(set(_routes())))
def test_who_receives_files_reads_the_body_himself(path: str, reads_itself: bool):
    assert takes_uploads(path) == reads_itself


@pytest.mark.parametrize("path", ["/sign-in", "/subjects", "/generate", "/billing/credit"])
def test_a_stranger_cannot_send_gigabytes_to_a_form(tmp_path: Path, path: str):
    with serving(tmp_path, limits=SMALL) as it:
        answer = it.with_key(None).post(path, files={"email": ("a.bin", PIECE)})
        assert answer.status_code == 413


def test_a_form_is_bounded_in_parts_names_and_headers(tmp_path: Path):
    with serving(tmp_path, upload_files=50) as it:
        person = signed_in(it)
        made = person.post("/subjects", data={"name": "Mia"}).headers["location"]
        nothing = b'--x\r\nContent-Disposition: form-data; name="files"; filename=""\r\n\r\n\r\n'
        body = nothing * (it.service.config.upload_files + 3_000) + b"--x--\r\n"
        kind = {"content-type": "multipart/form-data; boundary=x"}
        answer = person.post(f"{made}/pictures", content=body, headers=kind)
        assert answer.status_code == 413
        assert "too many parts" in answer.text
        assert not any((it.service.config.data_dir / "incoming").iterdir())
