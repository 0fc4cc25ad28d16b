"""Memory while decoding does not grow with the number of pictures, and is given back."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

from core.images.decode import decode_image
from core.images.gate import PixelGate
from core.images.thumbnail import thumbnail
from tests.core.images import builders as b

SIDE = 9900
ONE_IMAGE_MB = SIDE * SIDE * 4 / 1024**2
"""As RGB in memory."""
MEASURE = """
import json, sys, threading, time
from pathlib import Path
from core.images.check import check_images
from core.images.read import read_image_set
from core.images.thumbnail import thumbnail
import core.images.decode, core.images.phantoms

def rss_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

base, peak, going = rss_mb(), 0.0, True
def watch():
    global peak
    while going:
        peak = max(peak, rss_mb())
        time.sleep(0.002)
watcher = threading.Thread(target=watch)
watcher.start()
exec(sys.argv[2])
going = False
watcher.join()
print(json.dumps([peak - base, rss_mb() - base]))
"""
WORK = {
    "check": "check_images(sys.argv[1])",
    "thumbnails": (
        "files = sorted(Path(sys.argv[1]).rglob('*.png'))\n"
        "threads = [threading.Thread(target=thumbnail, args=(file, 160)) for file in files]\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]"
    ),
}


@pytest.fixture(scope="module")
def large_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of one colour each, 100 kB a file."""
    folder = tmp_path_factory.mktemp("large")
    for n in range(8):
        path = folder / ("benign" if n % 2 else "malignant") / f"{n}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("L", (SIDE, SIDE), 20 * n + 3).save(path, compress_level=9)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("work", WORK)
def test_eight_large_pictures_take_the_memory_of_one_and_give_it_back(large_set: Path, work: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(large_set), WORK[work]], capture_output=True, text=True, check=True
    )
    peak_mb, kept_mb = json.loads(done.stdout)
    assert peak_mb < 1.3 * ONE_IMAGE_MB
    assert kept_mb < 0.3 * ONE_IMAGE_MB


def test_small_pictures_pass_side_by_side_and_large_ones_alone() -> None:
    gate, inside, most, lock = PixelGate(100), 0, [0, 0], threading.Lock()

    def work(n_pixels: int, kind: int) -> None:
        nonlocal inside
        with gate.passing(n_pixels):
            with lock:
                inside += 1
                most[kind] = max(most[kind], inside)
            time.sleep(0.01)
            with lock:
                inside -= 1

    for kind, n_pixels in ((0, 20), (1, 1000)):
        threads = [threading.Thread(target=work, args=(n_pixels, kind)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
    assert most == [5, 1]


def test_a_large_picture_is_not_overtaken_for_ever() -> None:
    gate, order = PixelGate(100), []
    held, started = threading.Event(), threading.Event()

    def hold() -> None:
        with gate.passing(60):
            started.set()
            held.wait(5)

    def pass_with(name: str, n_pixels: int) -> None:
        with gate.passing(n_pixels):
            order.append(name)

    first = threading.Thread(target=hold)
    first.start()
    started.wait(5)
    large = threading.Thread(target=pass_with, args=("large", 100))
    large.start()
    while not gate.n_waiting:
        time.sleep(0.001)
    small = threading.Thread(target=pass_with, args=("small", 10))
    small.start()
    while gate.n_waiting < 2:
        time.sleep(0.001)
    held.set()
    for thread in (first, large, small):
        thread.join(5)
    assert order == ["large", "small"]


def test_a_thread_inside_enters_again_and_an_error_leaves_the_gate_open() -> None:
    gate = PixelGate(100)
    with gate.passing(100), gate.passing(100):
        pass
    with pytest.raises(ValueError, match="inside"), gate.passing(100):
        raise ValueError("inside")
    with gate.passing(100):
        pass


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P"])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_thumbnails_of_large_pictures_look_like_those_of_the_whole(tmp_path: Path, mode: str, form: str) -> None:
    shapes = Image.linear_gradient("L").resize((2600, 1700))
    image = Image.merge("RGB", (shapes, shapes.rotate(180), shapes)).convert(mode)
    if form == "JPEG" and mode in ("RGBA", "P"):
        image = image.convert("CMYK")
    path = tmp_path / f"large.{form.lower()}"
    path.write_bytes(b.encoded(form=form, image=image))
    whole = decode_image(path)
    whole.thumbnail((160, 160), Image.Resampling.LANCZOS)
    small = Image.open(io.BytesIO(thumbnail(path, 160)))
    assert small.size == whole.size
    differences = [abs(a - c) for a, c in zip(small.tobytes(), whole.tobytes(), strict=True)]
    assert sum(differences) / len(differences) < 2
