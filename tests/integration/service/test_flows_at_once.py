"""Flows of one title that several servers save in the same moment."""

import threading
from pathlib import Path

from tests.flows import flow, transform
from tests.serving import serving

from modelgenerator.service.operations.flows import create_flow

AT_ONCE = 6


def test_each_of_many_flows_of_one_title_gets_an_address(tmp_path: Path, new_postgres):
    with serving(tmp_path, database_url=new_postgres()) as here:
        together = threading.Barrier(AT_ONCE)
        slugs: list[str] = []

        def save() -> None:
            together.wait()
            saved = create_flow(here.service, here.owner, flow(transform({"a": 1})))
            slugs.append(saved.flow.slug)

        threads = [threading.Thread(target=save) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    names = ["portraits", *(f"portraits-{number}" for number in range(2, AT_ONCE + 1))]
    assert sorted(slugs) == sorted(names)
