"""A definition becomes a flow when nothing is wrong with it, and a version each time it changes."""

from pathlib import Path
from uuid import uuid4

import pytest
from tests.flows import DRAWER, TRAINER, flow, step, transform
from tests.remembered import an_organization
from tests.serving import Serving, serving

from modelgenerator.errors import InvalidFlow
from modelgenerator.service.errors import AlreadyExists, Forbidden, NotFound
from modelgenerator.service.operations import flows
from modelgenerator.service.operations.callers import Caller, RequestKey
from modelgenerator.service.records.organizations import Role


@pytest.fixture
def here(tmp_path: Path):
    with serving(tmp_path) as it:
        yield it


def faults(here: Serving, written):
    with pytest.raises(InvalidFlow) as raised:
        flows.create_flow(here.service, here.owner, written)
    return raised.value.faults_as_json


def stranger(here: Serving) -> Caller:
    """The owner of another organization."""
    return Caller(
        organization_id=an_organization(here.service.database, here.clock), role=Role.OWNER
    )


def test_a_flow_is_saved_with_its_first_version(here: Serving):
    saved = flows.create_flow(here.service, here.owner, flow())
    assert (saved.flow.title, saved.flow.slug) == ("Portraits", "portraits")
    assert saved.version.number == 1
    assert flows.read_flow(here.service, here.owner, saved.flow.id) == saved
    assert saved.values == flow()


def test_all_that_is_wrong_is_told_with_its_place_in_the_definition(here: Serving):
    wrong = flow(step("Zipper", sources=["nothing"]), transform({"a": "$.input.nobody"}))
    told = faults(here, wrong)
    assert [(each["pointer"], each["code"]) for each in told] == [
        ("/steps/0/parameters/sources/0", "unknownStep"),
        ("/steps/1/result/a", "unknownInput"),
    ]


def test_in_json5_a_fault_has_its_line_and_column(here: Serving):
    text = "{\n  title: 'T', // a title\n  description: 'D',\n  steps: [{id: 'a', type: 'Zip'}],\n}"
    (told,) = faults(here, text)
    assert (told["pointer"], told["line"], told["column"]) == ("/steps/0/type", 4, 21)


def test_a_name_that_stands_twice_is_a_fault(here: Serving):
    text = '{title: "T", title: "U", description: "D", steps: [{id: "a", type: "ObjectTransformer"'
    (told,) = faults(here, text + ", result: {}}]}")
    assert (told["code"], told["line"], told["column"]) == ("duplicateName", 1, 14)


def test_comments_and_the_order_of_the_form_are_kept(here: Serving):
    text = (
        "{ // mine\n title: 'T', description: 'D', public: true,"
        "input: {type: 'object', properties: {zebra: {type: 'string'}, a: {type: 'string'}}},"
        "steps: [{id: 'a', type: 'ObjectTransformer', result: {}}]}"
    )
    saved = flows.create_flow(here.service, here.owner, text)
    assert saved.version.source == text
    page = flows.public_page(here.service, saved.flow.slug)
    assert list(page.input["properties"]) == ["zebra", "a"]


@pytest.mark.parametrize(
    ("parameter", "kind", "code"),
    [
        ("datasetId", "ModelGenerator", "unknownDataset"),
        ("trainingSettingsId", "ModelGenerator", "unknownTemplate"),
        ("trainingId", "ImageGenerator", "unknownTraining"),
        ("inferencePackId", "ImageGenerator", "unknownInferencePack"),
    ],
)
@pytest.mark.parametrize("id", ["019a0000-0000-7000-8000-000000000000", "no-id"])
def test_what_a_definition_names_must_be_there(here: Serving, parameter, kind, code, id):
    base = TRAINER if kind == "ModelGenerator" else DRAWER
    changed = {**base, "parameters": {**base["parameters"], parameter: id}}
    (told,) = faults(here, flow(*([changed] if kind == "ModelGenerator" else [TRAINER, changed])))
    where = 0 if kind == "ModelGenerator" else 1
    assert told["code"] == code
    assert told["pointer"] == f"/steps/{where}/parameters/{parameter}"


def test_a_training_that_one_picture_names_must_be_there_too(here: Serving):
    drawer = step("ImageGenerator", images=[{"prompt": "x", "trainingId": str(uuid4())}])
    (told,) = faults(here, flow(drawer))
    assert told["pointer"] == "/steps/0/parameters/images/0/trainingId"


def test_a_language_model_that_is_not_there_is_told_when_a_flow_is_saved(here: Serving):
    wanted = step("ObjectGenerator", description="d", schema={"type": "object"})
    (told,) = faults(here, flow(wanted))
    assert told["code"] == "noLanguageModel"


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_what_no_database_can_keep_is_refused(here: Serving, text):
    (told,) = faults(here, flow(store={"text": text}))
    assert (told["code"], told["pointer"]) == ("invalidText", "/store/text")


def test_the_title_makes_a_slug_and_a_number_keeps_it_one_of_a_kind(here: Serving):
    first = flows.create_flow(here.service, here.owner, flow(title="Ünder the Sea!"))
    second = flows.create_flow(here.service, stranger(here), flow(title="under the sea"))
    assert (first.flow.slug, second.flow.slug) == ("under-the-sea", "under-the-sea-2")
    assert flows.slug_from("海") == "flow"


def test_a_slug_that_was_wished_is_taken_once_even_after_its_flow_is_gone(here: Serving):
    saved = flows.create_flow(here.service, here.owner, flow(slug="mine"))
    flows.delete_flow(here.service, here.owner, saved.flow.id)
    with pytest.raises(AlreadyExists, match="mine"):
        flows.create_flow(here.service, stranger(here), flow(slug="mine"))


def test_a_change_is_a_new_version_and_the_same_again_is_none(here: Serving):
    first = flows.create_flow(here.service, here.owner, flow(slug="mine"))
    changed = flow(slug="other", title="Better", public=True)
    for _ in range(2):
        second = flows.update_flow(here.service, here.owner, first.flow.id, changed)
    assert second.version.number == 2
    assert (second.flow.slug, second.flow.title, second.flow.is_public) == ("other", "Better", True)
    page = flows.list_versions(here.service, here.owner, first.flow.id, None, 10)
    assert [version.number for version in page.items] == [2, 1]


def test_a_deleted_flow_is_not_there_any_more(here: Serving):
    saved = flows.create_flow(here.service, here.owner, flow(public=True))
    flows.delete_flow(here.service, here.owner, saved.flow.id)
    with pytest.raises(NotFound):
        flows.read_flow(here.service, here.owner, saved.flow.id)
    with pytest.raises(NotFound):
        flows.public_page(here.service, "portraits")
    assert flows.list_flows(here.service, here.owner, None, 10).items == ()


def test_a_request_that_is_sent_again_makes_one_flow(here: Serving):
    again = Caller(
        organization_id=here.organization_id, role=Role.OWNER, request=RequestKey("k", "f")
    )
    made = {flows.create_flow(here.service, again, flow()).flow.id for _ in range(2)}
    assert len(made) == 1


def test_another_organizations_flow_is_not_found(here: Serving):
    saved = flows.create_flow(here.service, here.owner, flow())
    other = stranger(here)
    with pytest.raises(NotFound):
        flows.read_flow(here.service, other, saved.flow.id)
    with pytest.raises(NotFound):
        flows.update_flow(here.service, other, saved.flow.id, flow())
    with pytest.raises(NotFound):
        flows.delete_flow(here.service, other, saved.flow.id)


def test_who_may_only_look_saves_nothing(here: Serving):
    viewer = Caller(organization_id=here.organization_id, role=Role.VIEWER)
    with pytest.raises(Forbidden):
        flows.create_flow(here.service, viewer, flow())
    assert flows.check_flow(here.service, viewer, flow()).faults == ()


def test_the_public_page_tells_nothing_of_store_and_steps(here: Serving):
    flows.create_flow(here.service, here.owner, flow(public=True, ui={"submitLabel": "Go"}))
    page = flows.public_page(here.service, "portraits")
    assert page.ui == {"submitLabel": "Go"}
    assert page.steps == (
        ("trainer", "ModelGenerator"),
        ("drawer", "ImageGenerator"),
        ("packer", "Zipper"),
    )
    with pytest.raises(NotFound):
        flows.public_page(here.service, "another")


def test_what_a_run_costs_is_told_as_far_as_it_is_known(here: Serving):
    drawer = step(
        "ImageGenerator", "drawer", baseModel="a", images=[{"prompt": "x", "count": 3}] * 2
    )
    checked = flows.check_flow(
        here.service, here.owner, flow(TRAINER, drawer, transform({}), public=True)
    )
    estimate = checked.estimate
    assert estimate is not None
    assert estimate.run == 280_000
    assert [(it.unit, it.unit_price, it.count, it.fixed) for it in estimate.steps] == [
        ("minute", 60_000, None, 0),
        ("picture", 20_000, 6, 0),
        (None, 0, None, 10_000),
    ]
    assert estimate.known == 280_000 + 120_000 + 10_000
