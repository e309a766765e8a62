from pathlib import Path

import pytest

from modelgenerator.captioning.choose import NAMES, choose_captioner
from modelgenerator.captioning.hub_models import HUB_MODELS, LOADING_NEEDS
from modelgenerator.datasets.subject import Subject, SubjectKind
from modelgenerator.diffusion.remote import Hub
from modelgenerator.errors import CaptionerUnavailable

WOMAN = Subject(SubjectKind.PERSON, "woman")
SET_UP = {
    "MODELGENERATOR_CAPTIONER_URL": "http://127.0.0.1:1/v1",
    "MODELGENERATOR_CAPTIONER_MODEL": "eyes-7b",
}


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    """Its address is never asked: nothing answers there."""
    return Hub(endpoint="http://127.0.0.1:1", cache=tmp_path)


def put_into_cache(hub: Hub, name: str) -> None:
    model = HUB_MODELS[name]
    folder = hub.cache_folder / f"models--{model.repository.replace('/', '--')}" / "snapshots"
    (folder / model.commit).mkdir(parents=True)
    for file in LOADING_NEEDS:
        (folder / model.commit / file).touch()


def test_auto_takes_the_endpoint_first(hub: Hub):
    put_into_cache(hub, "florence2")
    choice = choose_captioner("auto", WOMAN, hub=hub, environment=SET_UP)
    assert choice.captioner is not None
    assert choice.captioner.name == "endpoint"
    assert "eyes-7b at http://127.0.0.1:1/v1" in choice.notice.message
    assert "because MODELGENERATOR_CAPTIONER_URL is set" in choice.notice.message


@pytest.mark.parametrize("name", HUB_MODELS)
def test_auto_takes_what_is_on_this_machine(hub: Hub, name: str):
    put_into_cache(hub, name)
    choice = choose_captioner("auto", WOMAN, hub=hub, environment={})
    assert choice.captioner is not None
    assert (choice.captioner.name, choice.captioner.revision) == (
        name,
        f"{HUB_MODELS[name].repository}@{HUB_MODELS[name].commit}",
    )
    assert "because it is on this machine" in choice.notice.message


def test_auto_never_begins_a_download_and_says_what_could_be_had(hub: Hub):
    choice = choose_captioner("auto", WOMAN, hub=hub, environment={})
    assert choice.captioner is not None
    assert choice.captioner.name == "template"
    assert '"a photo of a woman"' in choice.notice.message
    assert "--captioner florence2, which downloads 463 MB once" in choice.notice.message
    assert choice.notice.level == "info"


def test_half_a_captioner_is_not_on_this_machine(hub: Hub):
    put_into_cache(hub, "florence2")
    next(hub.cache_folder.rglob("tokenizer.json")).unlink()
    choice = choose_captioner("auto", WOMAN, hub=hub, environment={})
    assert choice.captioner is not None
    assert choice.captioner.name == "template"


def test_a_template_without_a_class_name_warns(hub: Hub):
    choice = choose_captioner("auto", hub=hub, environment={})
    assert choice.notice.level == "warning"
    assert "--class-name woman" in choice.notice.message


def test_naming_one_says_what_it_will_download(hub: Hub):
    choice = choose_captioner("blip", WOMAN, hub=hub, environment=SET_UP)
    assert choice.captioner is not None
    assert choice.captioner.name == "blip"
    assert "1,880 MB are downloaded" in choice.notice.message


def test_none_is_nobody(hub: Hub):
    assert choose_captioner("none", WOMAN, hub=hub, environment=SET_UP).captioner is None


def test_an_endpoint_must_be_set_up(hub: Hub):
    with pytest.raises(CaptionerUnavailable, match="set MODELGENERATOR_CAPTIONER_URL to one such"):
        choose_captioner("endpoint", WOMAN, hub=hub, environment={})


def test_another_name_gets_the_nearest_one(hub: Hub):
    with pytest.raises(CaptionerUnavailable) as caught:
        choose_captioner("Florence-2", hub=hub, environment={})
    assert "Do you mean florence2?" in str(caught.value)
    assert all(name in str(caught.value) for name in NAMES)


def test_commits_are_pinned_whole():
    assert all(len(model.commit) == 40 for model in HUB_MODELS.values())
