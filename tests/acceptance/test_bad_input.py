"""What a person can do wrong gets one message that says what, where and what to do."""

import os
import re
import shutil
import signal
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

OLD = dict.fromkeys(("lora.safetensors", "plan.json", "events.jsonl"), b"old")


@pytest.fixture
def earlier(tmp_path):
    """A finished training in `out`, and whether it is still there."""
    (tmp_path / "out").mkdir()
    for name, content in OLD.items():
        (tmp_path / "out" / name).write_bytes(content)

    def is_intact() -> bool:
        return all((tmp_path / "out" / name).read_bytes() == old for name, old in OLD.items())

    return is_intact


def assert_refused(done: subprocess.CompletedProcess[str], *said: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("error: ") == 1
    assert "Traceback" not in done.stderr + done.stdout
    for words in said:
        assert words in done.stderr


# --- photos


def _missing(folder: Path) -> None:
    shutil.rmtree(folder)


def _empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def _folders_only(folder: Path) -> None:
    _empty(folder)
    (folder / "holidays").mkdir()


def _text_named_jpg(folder: Path) -> None:
    _empty(folder)
    (folder / "me.jpg").write_text("these are words")


def _truncated(folder: Path) -> None:
    half = (folder / "rocket.jpg").read_bytes()[:20_000]
    _empty(folder)
    (folder / "rocket.jpg").write_bytes(half)


def _huge(folder: Path) -> None:
    _empty(folder)
    (folder / "huge.png").write_bytes(huge_png())


def huge_png() -> bytes:
    """A file of 70 bytes that says it has 50,000 x 50,000 pixels."""
    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    packed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_missing, ["There is no folder", "photos"]),
        (_empty, ["is empty", "Put jpg, png or webp"]),
        (_folders_only, ["only folders: holidays"]),
        (_text_named_jpg, ["me.jpg: it is not a jpg, png or webp picture"]),
        (_truncated, ["rocket.jpg: the jpg file is damaged or breaks off"]),
        (_huge, ["huge.png: it has 50,000 x 50,000 pixels", "megapixels allowed"]),
    ],
)
def test_photos_that_cannot_be_used(modelgenerator, train_words, photos, earlier, spoil, said):
    spoil(photos)
    assert_refused(modelgenerator(*train_words("out"), "--overwrite"), *said)
    assert earlier()


def test_bad_files_among_good_photos_are_listed_and_the_rest_is_trained(
    modelgenerator, train_words, photos, tmp_path
):
    (photos / "notes.jpg").write_text("these are words")
    (photos / "half.jpg").write_bytes((photos / "rocket.jpg").read_bytes()[:20_000])
    (photos / "huge.png").write_bytes(huge_png())
    done = modelgenerator(*train_words("out", maxSteps=2))
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("notes.jpg", "half.jpg", "huge.png"):
        assert f"cannot be used: {name}: " in done.stdout
    assert "pictures: 4" in done.stdout
    assert (tmp_path / "out/lora.safetensors").exists()


# --- settings


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "epochz=4"], ["epochz", "did you mean epochs?"]),
        (["--set", "epochs=0"], ["epochs", "0"]),
        (["--set", "epochs=many"], ["epochs", "many"]),
        (["--set", "networkDim=2.5"], ["networkDim"]),
        (["--set", "optimizer=adamw8"], ["did you mean AdamW8bit?"]),
        (["--set", "batchSize=7"], ["from 1 to 6, not 7; with gradientAccumulation"]),
        (["--set", "epochs"], ["epochs=40"]),
        (["--settings", "none.json5"], ["none.json5", "No such file"]),
        (["--settings", "broken.json5"], ["broken.json5", "line 2"]),
        (["--template", "best"], ["'best'", "recommended"]),
    ],
)
def test_settings_that_cannot_be(modelgenerator, train_words, earlier, tmp_path, words, said):
    (tmp_path / "broken.json5").write_text("{\n  epochs 4\n}")
    assert_refused(modelgenerator(*train_words("out"), *words, "--overwrite"), *said)
    assert earlier()


# --- base models


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("creature", ["no base model creature", "Do you mean modelgenerator/creatures"]),
        ("someone/none", ["does not answer", "modelgenerator/creatures"]),
        ("old.ckpt", ["old.ckpt is a pickle file", ".safetensors"]),
        ("pickled", ["pickle"]),
        ("cut", ["diffusion_pytorch_model.safetensors"]),
        ("confused", ["unet/config.json"]),
        ("single.safetensors", ["single.safetensors"]),
    ],
)
def test_base_models_that_cannot_be_used(
    modelgenerator, train_words, tiny_base, earlier, tmp_path, reference, said
):
    _spoilt_base_models(tiny_base, tmp_path)
    words = [*train_words("out"), "--base-model", reference, "--overwrite"]
    assert_refused(modelgenerator(*words), *said)
    assert earlier()


def _spoilt_base_models(good: Path, folder: Path) -> None:
    (folder / "old.ckpt").write_bytes(b"\x80\x02")
    (folder / "single.safetensors").write_bytes(b"no header")
    weights = "unet/diffusion_pytorch_model.safetensors"
    for name in ("pickled", "cut", "confused"):
        shutil.copytree(good, folder / name)
    (folder / "pickled" / weights).rename(folder / "pickled/unet/diffusion_pytorch_model.bin")
    (folder / "cut" / weights).write_bytes((good / weights).read_bytes()[:100_000])
    (folder / "confused/unet/config.json").write_text("{")


# --- places


@pytest.mark.parametrize("place", ["a-file", "a-file/inside", "/proc/x"])
def test_output_that_cannot_be_written(modelgenerator, train_words, tmp_path, place):
    (tmp_path / "a-file").write_text("mine")
    assert_refused(modelgenerator(*train_words(place)), place, "--output")
    words = ["generate", "--prompt", "a creature", "--steps", 1, "--output", place]
    assert_refused(modelgenerator(*words), place, "--output")
    assert (tmp_path / "a-file").read_text() == "mine"


# --- generate


def test_lora_files_that_cannot_be_used(modelgenerator, train_words, tmp_path):
    assert modelgenerator(*train_words("out", maxSteps=1)).returncode == 0
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.safetensors").write_text("these are words")
    whole = tmp_path / "out/lora.safetensors"
    (tmp_path / "cut.safetensors").write_bytes(whole.read_bytes()[:5000])
    save_file(load_file(whole), tmp_path / "nameless.safetensors")
    words = ["generate", "--prompt", "lvff", "--steps", 1, "--output", "drawn", "--model"]
    assert_refused(modelgenerator(*words, "none.safetensors"), "none.safetensors")
    assert_refused(modelgenerator(*words, "words.safetensors"), "words.safetensors")
    assert_refused(modelgenerator(*words, "cut.safetensors"), "cut.safetensors")
    assert_refused(modelgenerator(*words, "empty"), "no lora.safetensors in empty")
    other = ["nameless.safetensors", "--base-model", "modelgenerator/creatures"]
    assert_refused(modelgenerator(*words, *other), "base model")
    assert not list((tmp_path / "drawn").glob("*.png"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--width", "33"], ["width", "33", "multiple of 8"]),
        (["--height", "100000"], ["height"]),
        (["--steps", "61"], ["steps"]),
        (["--steps", "few"], ["--steps"]),
        (["--count", "0"], ["count"]),
        (["--lora-scale", "3"], ["loraScale"]),
        (["--prompt", ""], ["prompt"]),
    ],
)
def test_wishes_that_cannot_be_drawn(modelgenerator, tmp_path, words, said):
    done = modelgenerator("generate", "--prompt", "a creature", *words, "--output", "drawn")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    for part in said:
        assert part in done.stderr
    assert not (tmp_path / "drawn").exists()


# --- the disk


def limited(kilobytes: int) -> list[str]:
    """No file may become longer than that, as on a disk that is full."""
    return ["bash", "-c", f'ulimit -f {kilobytes}; exec "$@"', "bash"]


def test_a_disk_that_refuses_the_events(modelgenerator, train_words, tmp_path):
    done = modelgenerator.through(limited(6), *train_words("out", maxSteps=80))
    assert_refused(done, "out/events.jsonl", "cannot be written", "--output")
    assert not (tmp_path / "out/lora.safetensors").exists()


def test_a_disk_that_refuses_the_lora_leaves_the_checkpoint(modelgenerator, train_words, tmp_path):
    words = train_words("out", maxSteps=50)
    assert modelgenerator.stop_at(10, signal.SIGINT, *words)[0] == 130
    before = (tmp_path / "out/checkpoint.safetensors").read_bytes()
    done = modelgenerator.through(limited(20), *words, "--resume")
    assert_refused(done, "The LoRA cannot be written to out/lora.safetensors", "--output")
    assert (tmp_path / "out/checkpoint.safetensors").read_bytes() == before
    assert not list((tmp_path / "out").glob(".*partial"))
    assert modelgenerator(*words, "--resume").returncode == 0


def test_a_disk_that_refuses_the_checkpoint_is_told_when_stopping(
    modelgenerator, train_words, tmp_path
):
    words = train_words("out", maxSteps=400)
    assert modelgenerator.stop_at(10, signal.SIGINT, *words)[0] == 130
    before = (tmp_path / "out/checkpoint.safetensors").read_bytes()
    limit = limited(60)
    exit_code, said = modelgenerator.stop_at(20, signal.SIGINT, *words, "--resume", before=limit)
    assert exit_code == 130
    assert re.search(r"only 1\d steps are kept", said), said
    assert (tmp_path / "out/checkpoint.safetensors").read_bytes() == before


def test_a_disk_that_is_full(modelgenerator, train_words, small_disk):
    done = modelgenerator(*train_words(small_disk / "out", networkDim=64))
    assert_refused(done, "No space left on device", "lora.safetensors", "--output")
    assert not (small_disk / "out/lora.safetensors").exists()
    assert not list((small_disk / "out").glob(".*partial"))


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"no small disk here: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", place], check=True)
