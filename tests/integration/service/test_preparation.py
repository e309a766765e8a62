"""The web process and the job's body prepare the same pictures to the same dataset."""

import pytest
from tests.serving import serving
from tests.uploaded import SETTINGS, a_dataset
from tests.vision_endpoint import says, serve_vision

from modelgenerator.captioning.endpoint import MODEL, URL
from modelgenerator.datasets.prepare import PhotoLookedAt
from modelgenerator.datasets.subject import Subject, SubjectKind
from modelgenerator.errors import CaptionerUnavailable
from modelgenerator.service.operations.local_copies import local_source
from modelgenerator.service.operations.preparation import (
    PreparationCaches,
    PreparationNoticed,
    preparing_pictures,
    usual_captioner,
)
from modelgenerator.service.operations.snapshots import pictures_now
from modelgenerator.settings import TrainingSettings

FOX = Subject(SubjectKind.ANIMAL, "fox")


@pytest.fixture
def it(tmp_path):
    with serving(tmp_path) as it:
        yield it


@pytest.fixture
def source(it):
    dataset_id = a_dataset(it)
    with it.service.database.reading() as transaction:
        pictures = pictures_now(transaction.of(it.organization_id), dataset_id)
    room = it.service.dataset_room(it.organization_id, dataset_id)
    return local_source(it.service.files, pictures, room)


def prepared(source, folder, *, captioner="template", subject=FOX, workers=None, **settings):
    """The dataset, and what was told on the way."""
    steps = preparing_pictures(
        source,
        TrainingSettings.from_written({**SETTINGS, **settings}),
        subject,
        captioner,
        workers=workers,
        caches=PreparationCaches.in_room(folder),
    )
    told = []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return end.value, told


def test_pictures_without_words_get_those_of_their_subject(source, tmp_path):
    dataset, told = prepared(source, tmp_path)
    assert {picture.caption for picture in dataset.pictures} == {"lvff a photo of a fox"}
    assert sum(isinstance(event, PhotoLookedAt) for event in told) == 5
    (noticed,) = (event for event in told if isinstance(event, PreparationNoticed))
    assert noticed.notice.message == 'Pictures without a caption are called "a photo of a fox".'


@pytest.mark.parametrize(("captioner", "subject"), [("none", FOX), ("template", Subject())])
def test_where_nobody_has_words_the_prefix_stays_alone(source, tmp_path, captioner, subject):
    dataset, _ = prepared(source, tmp_path, captioner=captioner, subject=subject)
    assert {picture.caption for picture in dataset.pictures} == {"lvff"}


def test_web_process_and_body_get_the_same_dataset(it, source, tmp_path):
    settings = {"normalizeDataset": True, "maskedLoss": True}
    ours, _ = prepared(source, tmp_path / "a", workers=it.service.photo_workers, **settings)
    theirs, _ = prepared(source, tmp_path / "b", **settings)
    assert ours.fingerprint == theirs.fingerprint
    assert all(picture.mask is not None for picture in ours.pictures) == all(
        picture.mask is not None for picture in theirs.pictures
    )


def test_an_endpoint_says_what_it_sees_and_is_asked_once(source, tmp_path, monkeypatch):
    assert usual_captioner() == "template"
    with serve_vision(says("a fox that sleeps")) as endpoint:
        monkeypatch.setenv(URL, endpoint.url)
        monkeypatch.setenv(MODEL, "eyes")
        assert usual_captioner() == "endpoint"
        for _ in range(2):
            dataset, _ = prepared(source, tmp_path, captioner="endpoint")
        assert len(endpoint.asked) == 5
    assert {picture.caption for picture in dataset.pictures} == {"lvff a fox that sleeps"}


def test_an_endpoint_that_is_not_set_up_is_told(source, tmp_path):
    with pytest.raises(CaptionerUnavailable):
        prepared(source, tmp_path, captioner="endpoint")
