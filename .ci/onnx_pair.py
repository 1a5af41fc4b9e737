#!/usr/bin/env python3
"""Writes what graphtag makes of a photo as a pair for tools/onnx_check.py --compare.

Run:  python3 .ci/onnx_pair.py GRAPHTAG MODEL.onnx PHOTO OUTPUT.json

The photo is first scaled to the model's input size and stored as PNG, so that graphtag has nothing to resize; the
input tensor then follows from the preprocessing in the model's metadata: (byte - mean) * scale. `probabilities`
are the scores that `GRAPHTAG tag --all-scores` prints.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnx
from PIL import Image


def metadata(model: onnx.ModelProto, name: str) -> object:
    """What the model's metadata say under `graphtag.NAME`."""
    properties = {entry.key: entry.value for entry in model.metadata_props}
    return json.loads(properties[f"graphtag.{name}"])


def scaled(photo: str, model: onnx.ModelProto) -> Image.Image:
    """The photo in the model's input size."""
    preprocessing = metadata(model, "preprocessing")
    return Image.open(photo).convert("RGB").resize((preprocessing["width"], preprocessing["height"]))


def image_of(photo: Image.Image, model: onnx.ModelProto) -> numpy.ndarray:
    """The input tensor of a photo of the model's input size, [3, height, width]."""
    preprocessing = metadata(model, "preprocessing")
    pixels = numpy.asarray(photo, dtype=numpy.float32)
    if preprocessing["color"] == "bgr":
        pixels = pixels[:, :, ::-1]
    image = (pixels - numpy.float32(preprocessing["mean"])) * numpy.float32(preprocessing["scale"])
    return numpy.ascontiguousarray(image.transpose(2, 0, 1))


def main() -> None:
    graphtag, path, photo, output = sys.argv[1:]
    model = onnx.load(path)
    resized = scaled(photo, model)
    with tempfile.TemporaryDirectory() as folder:
        png = Path(folder) / "photo.png"
        resized.save(png)
        printed = subprocess.run(
            [graphtag, "tag", "--model", path, "--format", "jsonl", "--all-scores", str(png)],
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout
    scores = json.loads(printed)["scores"]
    pair = {
        "image": image_of(resized, model).flatten().tolist(),
        "probabilities": [scores[label] for label in metadata(model, "labels")],
    }
    Path(output).write_text(json.dumps(pair))


if __name__ == "__main__":
    main()
