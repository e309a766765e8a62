"""What stands behind --input becomes values and folders, by the flow's own form."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from modelgenerator.cli.flow_run import given
from modelgenerator.errors import InvalidFlowInput, InvalidSettings

FORM = {
    "photos": {"type": "string", "dataset": True},
    "name": {"type": "string"},
    "age": {"type": "integer"},
    "scenes": {"type": "array"},
    "free": {},
}


def handle():
    record = {"definition": {"input": {"properties": FORM}}}
    return SimpleNamespace(read=lambda: record, dataset_properties=lambda: ["photos"])


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("name=Ada", "Ada"),
        ("name=36", "36"),
        ("name=true", "true"),
        ('name="Ada"', "Ada"),
        ("name=", ""),
        ("age=36", 36),
        ("scenes=['sea', \"snow\"]", ["sea", "snow"]),
        ("free={a: 1}", {"a": 1}),
        ("unknown=1", 1),
    ],
)
def test_text_is_text_where_the_form_asks_for_text(written, value):
    name = written.partition("=")[0]
    assert given(handle(), [written]) == ({name: value}, {})


def test_a_folder_is_named_behind_an_at_sign():
    assert given(handle(), ["photos=@some/folder"]) == ({}, {"photos": Path("some/folder")})


def test_photos_for_what_takes_none_are_refused_with_what_does():
    with pytest.raises(InvalidFlowInput, match=r"name takes no pictures.*There are: photos"):
        given(handle(), ["name=@folder"])


def test_what_is_no_assignment_is_refused():
    with pytest.raises(InvalidSettings, match="name=value"):
        given(handle(), ["photos"])
