"""A photo worker that the system kills while it waits costs nobody a request."""

from pathlib import Path

import psutil
from tests import uploaded
from tests.serving import serving


def test_the_next_dry_run_is_answered(tmp_path: Path):
    before = psutil.Process().children()  # other tests' servers
    with serving(tmp_path) as here:
        body = {"settings": dict(uploaded.SETTINGS)}
        first, second = (str(uploaded.a_dataset(here, pictures=5)) for _ in range(2))
        asked = "/v1/trainings?dryRun=true"
        assert here.http.post(asked, json={"datasetId": first, **body}).status_code == 200
        children = [child for child in psutil.Process().children() if child not in before]
        assert children
        for child in children:
            child.kill()
        # other work than before, so that each worker begins anew
        cut = {"settings": {**uploaded.SETTINGS, "normalizeDataset": True}}
        answer = here.http.post(asked, json={"datasetId": second, **cut})
        assert answer.status_code == 200, answer.text
