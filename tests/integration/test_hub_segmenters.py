"""Segmenters whose networks come from a hub: served on loopback, checked, run by onnxruntime."""

import hashlib
import pickle
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from tests.hub import LoopbackHub, Served, serve_hub
from tests.tiny_networks import save_birefnet, save_multiclass

from modelgenerator.datasets.images import Photo
from modelgenerator.datasets.segmenters.birefnet import BiRefNetSegmenter
from modelgenerator.datasets.segmenters.choice import choose_segmenter
from modelgenerator.datasets.segmenters.faces import Face
from modelgenerator.datasets.segmenters.hub_networks import (
    BIREFNET,
    MULTICLASS,
    HubNetwork,
    network_at,
)
from modelgenerator.datasets.segmenters.multiclass import MulticlassSight
from modelgenerator.datasets.segmenters.person import PersonSegmenter
from modelgenerator.diffusion.network_files import HubNetworkFiles
from modelgenerator.diffusion.remote import Hub
from modelgenerator.errors import HubUnreachable, InvalidSettings

RED, GREEN, BLUE, DARK = (230, 20, 20), (20, 220, 20), (20, 20, 230), (10, 10, 10)


@dataclass(frozen=True)
class OneFace:
    """Finds a face at a known place."""

    face: Face | None
    version = "one face"

    def find(self, pixels_HW3: NDArray[np.uint8]) -> tuple[Face, ...]:  # noqa: ARG002
        return () if self.face is None else (self.face,)


def someone() -> Photo:
    """A red face under dark hair over green clothes, before blue."""
    pixels_HW3 = np.full((300, 400, 3), BLUE, np.uint8)
    cv2.rectangle(pixels_HW3, (130, 180), (270, 299), GREEN, cv2.FILLED)
    cv2.rectangle(pixels_HW3, (160, 60), (240, 180), RED, cv2.FILLED)
    cv2.rectangle(pixels_HW3, (160, 60), (240, 90), DARK, cv2.FILLED)
    return Photo("someone.png", pixels_HW3, "0" * 64)


@dataclass(frozen=True)
class Stage:
    """A hub that serves stand-ins, and where they are expected."""

    hub: LoopbackHub
    files: HubNetworkFiles
    multiclass: HubNetwork
    birefnet: HubNetwork


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    served: dict[str, Served] = {}
    networks: list[HubNetwork] = []
    for known, save in ((MULTICLASS, save_multiclass), (BIREFNET, save_birefnet)):
        folder = tmp_path / known.repository.replace("/", "--")
        save(folder / known.file)
        sha256 = hashlib.sha256((folder / known.file).read_bytes()).hexdigest()
        served[known.repository] = Served(folder, commit=known.revision)
        networks.append(replace(known, sha256=sha256))
    with serve_hub(served) as hub:
        files = HubNetworkFiles(Hub(endpoint=hub.address, cache=tmp_path / "cache"))
        yield Stage(hub, files, *networks)


def test_a_person_has_hair_and_face_as_the_network_saw_them(stage: Stage) -> None:
    network = network_at(stage.files.fetch(stage.multiclass), stage.multiclass)
    segmenter = PersonSegmenter(MulticlassSight(network), OneFace(Face(200, 130, 80, 0.9)))
    regions = segmenter.find(someone())
    assert regions is not None
    assert regions.found_by == "a person (selfie multiclass)"
    assert regions.subject_HW[120:280, 165:235].all()
    assert not regions.subject_HW[:, :110].any()
    assert regions.head_HW[75, 200]  # hair
    assert regions.head_HW[140, 200]
    assert not regions.head_HW[220, 200]  # clothes


def test_without_a_face_nobody_is_there(stage: Stage) -> None:
    network = network_at(stage.files.fetch(stage.multiclass), stage.multiclass)
    assert PersonSegmenter(MulticlassSight(network), OneFace(None)).find(someone()) is None


def test_birefnet_finds_a_thing_and_counts_two(stage: Stage) -> None:
    pixels_HW3 = np.full((300, 400, 3), BLUE, np.uint8)
    cv2.circle(pixels_HW3, (120, 150), 60, RED, cv2.FILLED)
    cv2.circle(pixels_HW3, (320, 150), 40, RED, cv2.FILLED)
    network = network_at(stage.files.fetch(stage.birefnet), stage.birefnet)
    regions = BiRefNetSegmenter(network, None).find(Photo("two.png", pixels_HW3, "0" * 64))
    assert regions is not None
    assert regions.subjects == 2
    box = regions.box((400, 300))
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((60, 90, 181, 211), abs=2)
    assert not regions.has_head


@pytest.mark.parametrize("colour", [RED, BLUE])
def test_birefnet_that_sees_all_or_nothing_sees_no_subject(
    stage: Stage, colour: tuple[int, int, int]
) -> None:
    network = network_at(stage.files.fetch(stage.birefnet), stage.birefnet)
    photo = Photo("plain.png", np.full((90, 90, 3), colour, np.uint8), "0" * 64)
    assert BiRefNetSegmenter(network, None).find(photo) is None


def test_it_travels_to_another_process_by_its_path(stage: Stage) -> None:
    network = network_at(stage.files.fetch(stage.birefnet), stage.birefnet)
    segmenter = BiRefNetSegmenter(network, None)
    first = segmenter.find(someone())
    sent: BiRefNetSegmenter = pickle.loads(pickle.dumps(segmenter))
    second = sent.find(someone())
    assert first is not None
    assert second is not None
    assert first.as_bytes() == second.as_bytes()
    assert stage.birefnet.sha256[:16] in sent.version


def test_what_is_here_is_not_asked_for_again(stage: Stage) -> None:
    assert stage.files.cached(stage.multiclass) is None
    path = stage.files.fetch(stage.multiclass)
    asked = len(stage.hub.requests)
    assert asked > 0
    assert stage.files.fetch(stage.multiclass) == path
    assert stage.files.cached(stage.multiclass) == path
    assert len(stage.hub.requests) == asked


def test_auto_downloads_nothing(stage: Stage) -> None:
    choose_segmenter(files=stage.files)
    assert stage.hub.requests == []


@pytest.mark.parametrize("name", ["multiclass", "birefnet"])
def test_another_content_than_the_known_one_is_refused(stage: Stage, name: str) -> None:
    with pytest.raises(HubUnreachable, match="is not the file that is known here"):
        choose_segmenter(name, files=stage.files)
    asked_for = [line for line in stage.hub.requests if "/resolve/" in line]
    known = {"multiclass": MULTICLASS, "birefnet": BIREFNET}[name]
    assert asked_for
    assert all(f"{known.repository}/resolve/{known.revision}" in line for line in asked_for)


def test_a_hub_that_does_not_answer_says_what_is_missing(tmp_path: Path) -> None:
    files = HubNetworkFiles(Hub(endpoint="http://127.0.0.1:9", cache=tmp_path, patience=1))
    with pytest.raises(
        HubUnreachable, match=r"birefnet|BiRefNet.*181 MB.*leave the choice to auto"
    ):
        choose_segmenter("birefnet", files=files)


def test_a_commit_that_is_gone_is_said(stage: Stage) -> None:
    moved = replace(stage.birefnet, revision="f" * 40)
    with pytest.raises(HubUnreachable, match=r"does not give onnx/model\.onnx"):
        stage.files.fetch(moved)


def test_where_no_hub_can_be_asked_its_segmenters_are_refused() -> None:
    with pytest.raises(InvalidSettings, match="comes from a model hub"):
        choose_segmenter("birefnet")
