import pytest

from modelgenerator.errors import InvalidSettings
from modelgenerator.settings_files import parse_assignment, read_settings_file


def test_a_json5_file_is_read(tmp_path):
    path = tmp_path / "settings.json5"
    path.write_text("{\n  // ours\n  baseModel: 'a/b',\n  epochs: 40,\n}\n")
    assert read_settings_file(path) == {"baseModel": "a/b", "epochs": 40}


def test_a_whole_flow_step_is_read_for_its_settings(tmp_path):
    path = tmp_path / "step.json5"
    path.write_text("{id: 't', type: 'ModelGenerator', parameters: {settings: {epochs: 4}}}")
    assert read_settings_file(path) == {"epochs": 4}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{epochs: 1\n batchSize: 2}", "line 2, column 2"),
        ("{epochs: 1,\n batchSize: }", "line 2, column 13"),
        ("", "line 1, column 1"),
        ("[1]", "must hold an object"),
        ("{d0: NaN}", "d0 must be a finite number"),
        ("{samplePrompts: [Infinity]}", "samplePrompts must be a finite number"),
        ("{id: 'z', type: 'Zipper', parameters: {}}", "type 'Zipper'"),
        ("{type: 'ModelGenerator', parameters: {}}", "parameters.settings"),
    ],
)
def test_a_bad_settings_file_is_refused_with_its_place(tmp_path, text, complaint):
    path = tmp_path / "settings.json5"
    path.write_text(text)
    with pytest.raises(InvalidSettings, match=complaint) as caught:
        read_settings_file(path)
    assert "settings.json5" in str(caught.value)


def test_a_missing_settings_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(InvalidSettings, match=r"nowhere\.json5: No such file"):
        read_settings_file(tmp_path / "nowhere.json5")


def test_a_settings_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "settings.json5"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidSettings, match="not UTF-8"):
        read_settings_file(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("epochs=40", ("epochs", 40)),
        ("d0 = 1e-6", ("d0", 1e-6)),
        ("maskedLoss=true", ("maskedLoss", True)),
        ("captionPrefix=lvff", ("captionPrefix", "lvff")),
        ("captionPrefix='40'", ("captionPrefix", "40")),
        ("captionPrefix=", ("captionPrefix", "")),
        ("baseModel=a/b=c", ("baseModel", "a/b=c")),
        ("samplePrompts=['a', 'b']", ("samplePrompts", ["a", "b"])),
    ],
)
def test_an_assignment_is_a_name_and_a_value(text, expected):
    assert parse_assignment(text) == expected


@pytest.mark.parametrize("text", ["epochs", "=40", " = 4", ""])
def test_an_assignment_without_name_or_equals_is_refused(text):
    with pytest.raises(InvalidSettings, match="name=value"):
        parse_assignment(text)
