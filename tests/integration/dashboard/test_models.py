"""The page of trained models."""

from datetime import timedelta
from pathlib import Path

from tests.pages import signed_in
from tests.serving import serving
from tests.trainings_told import a_training
from tests.uploaded import claimed, trained

from modelgenerator.service.records.organizations import Role


def test_models_are_shown_with_what_can_be_done(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person = signed_in(it)
        assert "No model yet" in person.get("/models").text
        id = a_training(it, "<i>Fuchsi</i>")
        result = trained(it, claimed(it))
        page = person.get("/models").text
        assert "&lt;i&gt;Fuchsi&lt;/i&gt;" in page
        assert result.sha256 in page
        assert f'href="/generate?training={id}"' in page
        assert f'href="/trainings/{id}/model"' in page
        viewer = signed_in(it, Role.VIEWER).get("/models").text
        assert "Generate with" not in viewer
        assert "Delete" not in viewer


def test_an_expired_model_says_so_and_a_deleted_one_is_gone(tmp_path: Path) -> None:
    with serving(tmp_path) as it:
        person, id = signed_in(it), a_training(it)
        trained(it, claimed(it))
        it.clock.advance(timedelta(days=4_000).total_seconds())
        person = signed_in(it, Role.ADMIN)
        page = person.get("/models").text
        assert ">expired</span>" in page
        assert f'href="/trainings/{id}/model"' not in page
        person.post(f"/trainings/{id}/delete")
        assert "No model yet" in person.get("/models").text
