"""What is kept and for how long, and receipts of what was deleted."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID

from tests import uploaded
from tests.household import a_household, neighbours
from tests.pages import signed_in
from tests.serving import Serving, serving

from modelgenerator.service.operations.storage_use import Disk, read_storage_use
from modelgenerator.service.records.organizations import Role


def test_what_is_kept_is_counted_by_kind(it: Serving) -> None:
    a_household(it)
    use = read_storage_use(it.service, it.owner)
    assert use.stored.photos.count == 5
    assert use.stored.models.count == 1
    assert use.stored.models.byte_count == len(b"kohya's")
    assert use.used == sum(
        kept.byte_count for kept in (use.stored.photos, use.stored.models, use.stored.pictures)
    )
    page = signed_in(it, Role.VIEWER).get("/storage").text
    assert "5 files" in page
    assert "100.0 GB" in page


def test_nothing_of_another_organization_is_counted(it: Serving) -> None:
    theirs = neighbours(it).get("/v1/organization").json()["id"]
    uploaded.a_dataset(it, 3, organization_id=UUID(theirs))
    assert read_storage_use(it.service, it.owner).stored.photos.count == 0


def test_the_rules_are_those_of_this_server(tmp_path: Path) -> None:
    with serving(tmp_path, model_days=12, flow_model_days=3) as it:
        page = signed_in(it).get("/storage").text
    assert "12 days, unless you extend them" in page
    assert "3 days, unless you extend them" in page
    assert "14 days" in page


def test_a_model_that_expires_soon_is_kept_longer(it: Serving) -> None:
    household = a_household(it)
    training = household.ids["/v1/trainings"]
    address = f"/trainings/{training}/extend"
    person = signed_in(it, Role.MEMBER)
    assert address not in person.get("/storage").text
    it.clock.advance(timedelta(days=25).total_seconds())
    person = signed_in(it, Role.MEMBER)
    page = person.get("/storage").text
    assert address in page
    assert "Keep 30 days longer" in page
    assert address not in signed_in(it, Role.VIEWER).get("/storage").text
    until = page.partition('name="until" value="')[2].partition('"')[0]
    kept = person.post(address, data={"until": until, "back": "storage"})
    assert kept.headers["location"] == "/storage"
    assert address not in person.get("/storage").text
    assert signed_in(it, Role.OWNER).get("/storage").status_code == 200


def test_a_receipt_says_what_was_deleted_and_that_it_is_gone(it: Serving) -> None:
    household = a_household(it)
    person = signed_in(it, Role.VIEWER)
    subject = household.ids["/v1/subjects"]
    receipt = it.http.delete(f"/v1/subjects/{subject}?cancel=true").json()["id"]
    page = person.get(f"/deletions/{receipt}").text
    assert '<th scope="row">Photos</th><td>5</td>' in page
    assert "Gone from the storage" in page
    assert "not yet" not in page
    assert "Backups that were made before still have it" in page
    assert f'href="/deletions/{receipt}"' in person.get("/storage").text


def test_a_receipt_of_what_still_runs_says_so(it: Serving) -> None:
    dataset = uploaded.a_dataset(it)
    body = {"datasetId": str(dataset), "settings": dict(uploaded.SETTINGS)}
    assert it.http.post("/v1/trainings", json=body).status_code == 202
    uploaded.claimed(it)
    subject = it.http.get("/v1/subjects").json()["items"][0]["id"]
    receipt = it.http.delete(f"/v1/subjects/{subject}?cancel=true").json()["id"]
    page = signed_in(it).get(f"/deletions/{receipt}").text
    assert "not yet" in page
    assert "has been told to stop" in page


def test_another_organization_s_receipt_is_not_here(it: Serving) -> None:
    theirs = neighbours(it)
    subject = theirs.post("/v1/subjects", json={"name": "Gone"}).json()["id"]
    receipt = theirs.delete(f"/v1/subjects/{subject}").json()["id"]
    answer = signed_in(it).get(f"/deletions/{receipt}")
    assert answer.status_code == 404
    assert "There is no deletion receipt" in answer.text


def test_a_disk_is_nearly_full_with_little_left() -> None:
    gigabyte = 10**9
    assert Disk(free=4 * gigabyte, total=1_000 * gigabyte).is_nearly_full
    assert not Disk(free=6 * gigabyte, total=1_000 * gigabyte).is_nearly_full
    assert not Disk(free=3 * gigabyte, total=20 * gigabyte).is_nearly_full
    assert Disk(free=1 * gigabyte, total=20 * gigabyte).is_nearly_full
