"""`modelgenerator lora`, called as from the command line, on files good and bad."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from modelgenerator.cli import lora as command
from modelgenerator.cli import main
from modelgenerator.errors import OutputNotWritable, UnusableLora

LAYER = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lora.safetensors"
    tensors = {
        f"{LAYER}.lora_down.weight": torch.randn(4, 768).half(),
        f"{LAYER}.lora_up.weight": torch.randn(6, 4).half(),
        f"{LAYER}.alpha": torch.tensor(2.0),
    }
    plan = {"base_model": "org/base", "steps": 40, "samples": ["lvff \x1b[31mred\nline"]}
    header = {
        "modelspec.trigger_phrase": "lvff\x1b]0;owned\x07",
        "modelspec.title": "t" * 5000,
        "modelgenerator.plan": json.dumps(plan),
        "modelgenerator.version": "0.1.0",
    }
    save_file(tensors, path, header)
    return path


def exit_code_of(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["modelgenerator", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main.main()
    return int(stopped.value.code or 0)


def test_info_says_what_is_in_the_file(file: Path, capsys: pytest.CaptureFixture[str]):
    command.info(file, as_json=False)
    said = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    said = {what: words.strip() for what, words in said.items()}
    assert said["layout"] == "kohya"
    assert said["family"] == "Stable Diffusion 1"
    assert said["base model"] == "org/base"
    assert said["layers"] == "1 in unet"
    assert (said["rank"], said["alpha"], said["precision"]) == ("4", "2", "float16")
    assert said["hashes"] == "none in the header"
    assert said["plan"] == "of ModelGenerator 0.1.0"
    assert said["  steps"] == "40"


def test_what_a_header_says_cannot_steer_a_terminal(file: Path, capsys: pytest.CaptureFixture[str]):
    command.info(file, as_json=False)
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert max(map(len, out.splitlines())) < 300
    assert not any(line.startswith("line") for line in out.splitlines())


def test_info_is_one_json_object_on_request(file: Path, capsys: pytest.CaptureFixture[str]):
    command.info(file, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["layers"] == {"unet": 1}
    assert found["ranks"] == {"4": 1}
    assert found["plan"]["steps"] == 40
    assert found["triggerPhrase"].startswith("lvff")
    assert found["hashes"] == "absent"


def test_the_folder_of_a_training_stands_for_its_lora(
    file: Path, capsys: pytest.CaptureFixture[str]
):
    command.info(file.parent, as_json=True)
    assert json.loads(capsys.readouterr().out)["file"] == str(file)


def test_convert_writes_the_other_layout(file: Path, capsys: pytest.CaptureFixture[str]):
    output = file.with_name("new.safetensors")
    command.convert(file, to="diffusers", output=output, header="full", overwrite=False)
    layer = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
    assert load_file(output).keys() == {f"{layer}.lora_A.weight", f"{layer}.lora_B.weight"}
    assert str(output) in capsys.readouterr().out


def test_convert_replaces_no_file_unless_it_is_told_to(file: Path):
    before = file.read_bytes()
    with pytest.raises(OutputNotWritable, match="exists already: replace it by --overwrite"):
        command.convert(file, to="diffusers", output=file, header="full", overwrite=False)
    assert file.read_bytes() == before
    command.convert(file, to="diffusers", output=file, header="full", overwrite=True)
    assert any(name.endswith("lora_A.weight") for name in load_file(file))


@pytest.mark.parametrize("place", ["nowhere/new.safetensors", "."])
def test_a_place_that_cannot_be_written_is_an_error(file: Path, place: str):
    output = file.parent / place
    with pytest.raises(OutputNotWritable):
        command.convert(file, to="kohya", output=output, header="full", overwrite=True)


def test_the_commands_are_reached_with_their_options(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    output = file.with_name("new.safetensors")
    words = ["lora", "convert", file, "--to", "diffusers", "--output", output]
    assert exit_code_of(monkeypatch, *words, "--metadata", "none") == 0
    assert exit_code_of(monkeypatch, *words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert exit_code_of(monkeypatch, *words, "--overwrite") == 0
    assert exit_code_of(monkeypatch, "lora", "info", output, "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["layout"] == "diffusers"
    assert exit_code_of(monkeypatch, "lora", "convert", file, "--to", "onnx") == 2


def test_a_bad_file_is_a_sentence_and_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    words = tmp_path / "words.safetensors"
    words.write_text("these are words")
    for file in (words, tmp_path / "none.safetensors", tmp_path):
        assert exit_code_of(monkeypatch, "lora", "info", file) == 2
        assert capsys.readouterr().err.startswith("error: ")


LAYERS = [
    LAYER,
    "lora_unet_double_blocks_0_img_attn_qkv",
    "lora_unet_single_blocks_0_linear1",
    "transformer.transformer_blocks.0.attn.to_q",
    "lora_unet_input_blocks_9_9_x",
    "lora_te1_x",
    "unet..",
    "",
    "lora_unet_",
]
PAIRS = [(f".lora_{down}.weight", f".lora_{up}.weight") for down, up in ("AB", ("down", "up"))]
WEIRD = {
    "lora_adapter_metadata": ["", "[1]", '{"lora_alpha": 1e999}', '{"unet.lora_alpha": -3}'],
    "modelgenerator.plan": ["", "[1]", '{"base_model": {}}', "deep"],
    "modelgenerator.alpha": ["", "[1]", json.dumps({LAYER: [[], "float16"]}), "deep"],
    "sshs_model_hash": ["", "x"],
}
sizes = st.integers(0, 6)
shapes = st.lists(sizes, max_size=4)


@st.composite
def odd_tensors(draw: st.DrawFn) -> dict[str, torch.Tensor]:
    """Often pairs that fit together, sometimes anything."""
    tensors: dict[str, torch.Tensor] = {}
    dtypes = st.sampled_from([torch.float32, torch.float8_e4m3fn, torch.int8, torch.bool])
    for layer in draw(st.lists(st.sampled_from(LAYERS), max_size=4, unique=True)):
        down, up = draw(st.sampled_from(PAIRS))
        rank = draw(sizes)
        fitting = [draw(st.just([rank, draw(sizes)]) | shapes), [draw(sizes) * 3, rank]]
        for ending, shape in zip((down, up, ".alpha"), [*fitting, draw(shapes)], strict=True):
            dtype = torch.float32 if draw(st.integers(0, 9)) else draw(dtypes)
            if draw(st.integers(0, 9)):
                tensors[layer + ending] = torch.ones(shape).to(dtype)
    return tensors


@given(
    odd_tensors(),
    st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in WEIRD.items()}),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_is_in_a_file_the_answer_is_a_sentence(
    tmp_path: Path, tensors: dict[str, torch.Tensor], header: dict[str, str]
):
    path = tmp_path / "odd.safetensors"
    header = {key: "[" * 100_000 if said == "deep" else said for key, said in header.items()}
    save_file(tensors, path, header)
    for to in ("kohya", "diffusers"):
        with suppress(UnusableLora):
            command.info(path, as_json=False)
            new = tmp_path / "new"
            command.convert(path, to=to, output=new, header="minimal", overwrite=True)
