"""Uploads that are cut off, by a connection or by a kill, and sent again."""

import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from tests.nasty import encoded, photo
from tests.server import Server, server

from modelgenerator.service.operations.service import Service

pytestmark = pytest.mark.acceptance


def files(count: int) -> list[tuple[str, tuple[str, bytes]]]:
    """Photos, each another one."""
    made = [encoded(photo(400, 300 + number), "JPEG") for number in range(count)]
    return [("files", (f"{number}.jpg", content)) for number, content in enumerate(made)]


def new_dataset(http: httpx.Client) -> str:
    return http.post("/v1/datasets").json()["id"]


def on_their_way(it: Server) -> list[Path]:
    return list((it.data_dir / "incoming").glob("*/*"))


def stored_pictures(service: Service) -> int:
    return sum(key.endswith(".webp") for key in service.files.keys("organizations"))


def test_an_upload_that_a_kill_cuts_off_is_sent_again_and_is_there_once(tmp_path: Path):
    with server(tmp_path) as it:
        with it.http() as http:
            dataset = new_dataset(http)

        def send() -> None:
            with suppress(httpx.TransportError), it.http() as http:
                http.post(f"/v1/datasets/{dataset}/images", files=files(40))

        sending = threading.Thread(target=send)
        sending.start()
        give_up = time.monotonic() + 60
        with it.opened() as service:
            while stored_pictures(service) < 5:
                assert time.monotonic() < give_up
                time.sleep(0.01)
        it.kill()
        sending.join()
        it.start()
        with it.http() as http:
            before = http.get(f"/v1/datasets/{dataset}").json()["images"]
            for image in before:
                assert http.get(image["thumbnailUrl"]).status_code == 200
            answer = http.post(f"/v1/datasets/{dataset}/images", files=files(40)).json()
            after = http.get(f"/v1/datasets/{dataset}").json()["images"]
        assert 4 <= len(before) < 40
        assert (answer["duplicate"], answer["accepted"]) == (len(before), 40 - len(before))
        assert sorted(int(image["label"][:-4]) for image in after) == list(range(40))
        # one file may have been stored whose row the kill prevented
        with it.opened() as service:
            assert stored_pictures(service) <= 41


def test_an_upload_whose_connection_is_cut_leaves_nothing_and_is_sent_again(tmp_path: Path):
    with server(tmp_path) as it, it.http() as http:
        dataset = new_dataset(http)
        request = http.build_request("POST", f"/v1/datasets/{dataset}/images", files=files(60))
        body = request.read()
        head = f"POST {request.url.raw_path.decode()} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in request.headers.items()
        )
        where = urlsplit(it.url)
        with socket.create_connection((where.hostname, where.port)) as connection:
            connection.sendall(head.encode() + b"\r\n" + body[: len(body) * 6 // 10])
            give_up = time.monotonic() + 30
            while not on_their_way(it):
                assert time.monotonic() < give_up
                time.sleep(0.01)
        give_up = time.monotonic() + 30
        while on_their_way(it):
            assert time.monotonic() < give_up
            time.sleep(0.01)
        assert http.get(f"/v1/datasets/{dataset}").json()["images"] == []
        answer = http.post(f"/v1/datasets/{dataset}/images", files=files(60))
        assert (answer.status_code, answer.json()["accepted"]) == (201, 60)
