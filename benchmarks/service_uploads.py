"""Photos over HTTP in requests of fifty: new ones, and the same once more.

In: how many.  Out: photos a second, and the memory of the web process before, at its peak and
after.
"""

import io
import time
from pathlib import Path

import numpy as np
from PIL import Image
from served import Served, new_key, served

REQUEST = 50
WIDTH, HEIGHT = 640, 480


def measure(folder: Path, count: int) -> None:
    photos = [_photo(number) for number in range(count)]
    size = sum(map(len, photos)) / count / 1e3
    print(f"{count} photos of {WIDTH} x {HEIGHT}, {size:.0f} kB each, in requests of {REQUEST}\n")
    print("| photos | seconds | photos/s | MB before | MB at its peak | MB after |")
    print("|---|---|---|---|---|---|")
    data_dir = folder / "uploads"
    with served(data_dir, new_key(data_dir)) as server:
        dataset = _new_dataset(server)
        _send(server, dataset, [_photo(count)])  # imports what a first photo needs
        for what, key in (("new", "accepted"), ("known", "duplicate")):
            before = server.memory()
            began = time.perf_counter()
            for first in range(0, count, REQUEST):
                piece = photos[first : first + REQUEST]
                answer = _send(server, dataset, piece)
                assert answer[key] == len(piece), answer
            seconds = time.perf_counter() - began
            memory = f"{before:.0f} | {server.memory('VmHWM'):.0f} | {server.memory():.0f}"
            print(f"| {what} | {seconds:.1f} | {count / seconds:.0f} | {memory} |", flush=True)


def _photo(number: int) -> bytes:
    chance = np.random.default_rng(number)
    across_W = np.linspace(0, 200, WIDTH)
    noise_HW3 = chance.integers(0, 56, (HEIGHT, WIDTH, 3))
    pixels_HW3 = (across_W[None, :, None] + noise_HW3).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels_HW3).save(file, format="JPEG", quality=85)
    return file.getvalue()


def _new_dataset(server: Served) -> str:
    with server.client() as http:
        return http.post("/v1/datasets").raise_for_status().json()["id"]


def _send(server: Served, dataset: str, photos: list[bytes]) -> dict[str, int]:
    files = [("files", (f"{number}.jpg", photo)) for number, photo in enumerate(photos)]
    with server.client() as http:
        answer = http.post(f"/v1/datasets/{dataset}/images", files=files)
    return answer.raise_for_status().json()
