"""Machines: what runs where, and why the rest waits."""

from dataclasses import replace

from tests.carried import carried_on
from tests.household import FLOW
from tests.integration.service.test_cluster import a_training, begun
from tests.machines import a_machine, a_server, on_processors, tell
from tests.pages import signed_in
from tests.remembered import an_organization
from tests.serving import Serving

from modelgenerator.service.dashboard.machine_words import MOST_CARDS
from modelgenerator.service.operations.callers import Caller
from modelgenerator.service.records.organizations import Role

PART = {"hx-request": "true"}


def test_whoever_may_look_sees_machines_with_what_runs_there(it: Serving) -> None:
    tell(it, a_server(it.clock, machines=(a_machine("gpu-<1>"), a_machine("cpu-1", gpus=0))))
    training, waiting = a_training(it, "Mine <b>"), a_training(it, "Waits")
    begun(it, "gpu-<1>", step=3, totalSteps=9)
    page = signed_in(it, Role.VIEWER).get("/cluster").text
    assert "<h3>gpu-&lt;1&gt;</h3>" in page
    assert "2 × L4 with 24 GB each: free" in page  # noqa: RUF001
    assert f'<a href="/trainings/{training}">Mine &lt;b&gt;</a>' in page
    assert "step 3 of 9" in page
    assert page.count("Nothing runs here.") == 1
    assert f'<a href="/trainings/{waiting}">Waits</a>' in page
    assert "It begins in a moment." in page
    assert "client.ask(&#39;GET&#39;, &#39;/v1/cluster&#39;)" in page
    assert 'aria-current="page">Machines</a>' in page


def test_it_says_what_is_missing(it: Serving) -> None:
    person = signed_in(it)
    assert "No server takes jobs now" in person.get("/cluster").text
    server = a_server(it.clock, version="0.0.1", machines=(), places=())
    tell(it, server)
    page = person.get("/cluster").text
    assert "The Ray cluster is not there." in page
    assert "other version" in page
    assert "nobody has said that the GPUs may be used" not in page
    tell(it, replace(server, machines=(a_machine("gpu-1"),), places=on_processors(it).places))
    assert "nobody has said that the GPUs may be used" in person.get("/cluster").text


def test_what_is_on_no_machine_or_on_one_that_is_gone_is_shown(it: Serving) -> None:
    on_processors(it)
    a_training(it, "Lost")
    begun(it, "gone-1")
    a_training(it, "Looks for room")
    begun(it, None, phase="waitingForMachine")
    page = signed_in(it).get("/cluster").text
    assert "not there" in page
    assert page.index("gone-1") < page.index("Lost") < page.index("<h3>Starting</h3>")
    assert "no machine of the cluster has room for it yet" in page


def test_of_many_machines_those_that_are_free_are_a_list(it: Serving) -> None:
    tell(it, a_server(it.clock, machines=tuple(a_machine(f"m-{n}") for n in range(20))))
    a_training(it)
    begun(it, "m-3")
    page = signed_in(it).get("/cluster").text
    assert page.count("<h3>m-") == 1
    assert "19 free:" in page
    assert MOST_CARDS < 20


def test_of_other_organizations_there_are_numbers_alone(it: Serving) -> None:
    on_processors(it)
    ids = [a_training(it, "Secret running"), a_training(it, "Secret waiting")]
    begun(it, "one")
    second = an_organization(it.service.database, it.clock)
    page = signed_in(it, owner=Caller(organization_id=second, role=Role.OWNER)).get("/cluster").text
    assert "1 job of another organization</li>" in page
    assert "1 job of another organization waits." in page
    assert not any(hidden in page for hidden in ("Secret", *ids))


def test_a_run_says_why_its_step_waits(it: Serving) -> None:
    flow = it.http.post("/v1/flows", json={"definition": FLOW}).json()["id"]
    run = it.http.post(f"/v1/flows/{flow}/runs", json={"input": {}}).json()["id"]
    carried_on(it)
    assert "No server takes jobs now." in signed_in(it).get(f"/runs/{run}").text
    (waits,) = it.http.get("/v1/cluster").json()["queue"]
    assert (waits["kind"], waits["id"], waits["name"]) == ("run", run, "Zip")


def test_the_live_part_asks_for_itself(it: Serving) -> None:
    person = signed_in(it)
    part = person.get("/cluster/now", headers=PART).text
    assert "<html" not in part
    assert 'hx-get="/cluster/now" hx-trigger="every 3s"' in part
    answer = person.get("/cluster/now")
    assert (answer.status_code, answer.headers["location"]) == (303, "/cluster")
