"""The name that the published example prints, from the hub to a LoRA."""

from tests.hub import Served, serve_hub


def test_the_published_name_trains_on_what_the_hub_serves_and_then_without_the_hub(
    modelgenerator, train_words, tiny_base
):
    name, repository = "Realistic_Vision_V6.0_B1", "SG161222/Realistic_Vision_V6.0_B1_noVAE"
    words = [*train_words("out", maxSteps=2), "--base-model", name]
    card = {"license": "other", "license_name": "house-non-commercial"}
    with serve_hub({repository: Served(tiny_base, card=card, cuts=[20_000])}) as hub:
        online = {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0"}
        done = modelgenerator(*words, **online)
    assert (done.returncode, done.stderr) == (0, "")
    looked_at = next(line for line in done.stdout.splitlines() if line.startswith("base model:"))
    assert f"{name} ({repository}; Stable Diffusion 1.x; licence house-non" in looked_at
    assert "MB to be downloaded" in looked_at
    assert "does not allow commercial use" in done.stdout
    assert done.stdout.index("base model:") < done.stdout.index("== downloading")

    again = modelgenerator(*words, "--overwrite")
    assert (again.returncode, again.stderr) == (0, "")
    assert "MB on this machine" in again.stdout


def test_a_name_that_is_nowhere_is_refused_before_anything_is_written(
    modelgenerator, train_words, tmp_path
):
    done = modelgenerator(*train_words("out"), "--base-model", "Realistic_Vision_V6.0_B2")
    assert done.returncode == 2
    assert "Do you mean" in done.stderr
    assert "Realistic_Vision_V6.0_B1" in done.stderr
    assert not (tmp_path / "out").exists()
