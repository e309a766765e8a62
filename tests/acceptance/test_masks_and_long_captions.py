"""What lies beside a photo reaches the training, or is refused in words."""

import json
from pathlib import Path

import pytest
from PIL import Image


def mask(photos: Path, shade: int, size: tuple[int, int] | None = None) -> None:
    """For the cat alone."""
    with Image.open(photos / "cat.png") as cat:
        Image.new("L", size or cat.size, shade).save(photos / "cat.mask.png")


@pytest.mark.parametrize(
    ("shade", "size", "said"),
    [
        (0, None, "cat.mask.png is black all over"),
        (255, (64, 65), "cat.mask.png has 64 x 65 pixels, but cat.png has 451 x 300"),
    ],
)
def test_masks_that_cannot_be_used(modelgenerator, train_words, photos, shade, size, said):
    mask(photos, shade, size)
    done = modelgenerator(*train_words("out", maskedLoss="true"))
    assert done.returncode == 2
    assert said in done.stderr


def test_masked_loss_needs_someone_who_finds_the_subject(modelgenerator, train_words):
    done = modelgenerator(*train_words("out", maskedLoss="true"), "--segmenter", "none")
    assert done.returncode == 2
    assert "call that of astronaut.jpg astronaut.mask.png" in done.stderr


def test_masks_validation_and_a_caption_of_ten_thousand_letters_are_trained(
    modelgenerator, train_words, photos, tmp_path
):
    mask(photos, 255)
    (photos / "coffee.txt").write_text("x" * 10_000)
    wishes = {"maskedLoss": "true", "validationSplit": 0.25, "epochs": 2, "maxSteps": 6}
    done = modelgenerator(*train_words("out", **wishes))
    assert (done.returncode, done.stderr) == (0, "")
    assert "warning: maskedLoss: Without a mask, and so counted all over: " in done.stdout
    assert "warning: The caption of coffee.webp is too long" in done.stdout
    assert "epoch 2: loss " in done.stdout
    lines = (tmp_path / "out/events.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    assert [e["epoch"] for e in events if e["event"] == "validated"] == [1, 2]
