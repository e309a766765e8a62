"""Photos are sent in pieces, with their captions, and not twice."""

import hashlib
import json
import re

import httpx
import pytest

from modelgenerator.client.connection import Connection
from modelgenerator.client.errors import RequestRefused
from modelgenerator.client.uploads import FILES_AT_ONCE, files_in, upload_photos
from modelgenerator.errors import UnusableDataset


class Dataset:
    """A dataset on a server: it knows the hashes of what came."""

    def __init__(self, *known: bytes, refuses: str = "") -> None:
        self.known = [hashlib.sha256(content).hexdigest() for content in known]
        self.refuses = refuses
        self.pieces: list[list[str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            images = [{"uploadSha256": each} for each in self.known]
            return httpx.Response(200, json={"images": images})
        names = re.findall(r'filename="([^"]*)"', request.read().decode("latin-1"))
        self.pieces.append(names)
        told = [{"name": name, "status": "accepted"} for name in names]
        if self.refuses and all(name.startswith(self.refuses) for name in names):
            refused = {"code": "nothingUsable", "files": [{"name": names[0], "status": "refused"}]}
            return httpx.Response(422, content=json.dumps(refused))
        return httpx.Response(201, json={"files": told})

    def upload(self, photos):
        connection = Connection("http://here", "", transport=httpx.MockTransport(self))
        return upload_photos(connection, "/v1/datasets/1", photos)


def test_many_photos_go_in_several_pieces_and_captions_with_their_photo(tmp_path):
    for number in range(FILES_AT_ONCE + 3):
        (tmp_path / f"p{number:02}.png").write_bytes(bytes([number]))
        (tmp_path / f"p{number:02}.txt").write_text("a photo")
    (tmp_path / "p00.mask.png").write_bytes(b"mask")
    (tmp_path / ".DS_Store").write_bytes(b"")
    server = Dataset()
    told = server.upload(tmp_path)
    assert len(told) == 2 * (FILES_AT_ONCE + 3) + 1
    assert len(server.pieces) > 1
    for piece in server.pieces:
        stems = [name.partition(".")[0] for name in piece]
        assert all(piece.count(f"{stem}.png") == piece.count(f"{stem}.txt") == 1 for stem in stems)


def test_a_photo_that_the_server_has_is_not_sent_again(tmp_path):
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "b.png").write_bytes(b"b")
    server = Dataset(b"a")
    assert [each["name"] for each in server.upload(tmp_path)] == ["b.png"]
    assert Dataset(b"a", b"b").upload(tmp_path) == []


def test_a_zip_is_sent_as_it_is(tmp_path):
    (tmp_path / "photos.zip").write_bytes(b"PK")
    server = Dataset()
    server.upload(tmp_path / "photos.zip")
    assert server.pieces == [["photos.zip"]]


def test_a_piece_of_bad_files_does_not_keep_the_others_back(tmp_path):
    for number in range(FILES_AT_ONCE):
        (tmp_path / f"bad{number}.png").write_bytes(bytes([number]))
    (tmp_path / "good.png").write_bytes(b"good")
    told = Dataset(refuses="bad").upload(tmp_path)
    assert [each["status"] for each in told] == ["refused", "accepted"]
    (tmp_path / "good.png").unlink()
    with pytest.raises(RequestRefused) as raised:
        Dataset(refuses="bad").upload(tmp_path)
    assert raised.value.code == "nothingUsable"


def test_an_empty_folder_or_none_is_said_before_anything_is_sent(tmp_path):
    with pytest.raises(UnusableDataset, match="no file"):
        files_in(tmp_path)
    with pytest.raises(UnusableDataset, match="no folder or zip"):
        files_in(tmp_path / "nowhere")
