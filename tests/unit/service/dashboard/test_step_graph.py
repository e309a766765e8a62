"""What is drawn of a flow's steps."""

from tests.flows import flow

from modelgenerator.flows.definition import flow_of
from modelgenerator.service.dashboard.step_graph import FORM, graph_of


def test_every_step_says_what_it_uses():
    graph = graph_of(flow_of(flow()))
    assert [(box.name, box.uses) for box in graph.boxes] == [
        (FORM, ()),
        ("trainer", (FORM,)),
        ("drawer", ("trainer", FORM)),
        ("packer", ("drawer", "trainer")),
    ]
    assert len(graph.arrows) == 5


def test_an_arrow_to_the_next_box_is_straight_and_others_go_around():
    graph = graph_of(flow_of(flow()))
    straight = [arrow for arrow in graph.arrows if "C" not in arrow]
    assert len(straight) == 3
    assert graph.width > graph_of(flow_of(flow(flow()["steps"][0]))).width


def test_a_flow_without_a_form_draws_none():
    alone = {"id": "a", "type": "ObjectTransformer", "result": {"n": 1}}
    assert [box.name for box in graph_of(flow_of(flow(alone, input={"type": "object"}))).boxes] == [
        "a"
    ]
