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


def main() -> None:
    graphtag, model, photo, output = sys.argv[1:]
    properties = {entry.key: entry.value for entry in onnx.load(model).metadata_props}
    labels = json.loads(properties["graphtag.labels"])
    preprocessing = json.loads(properties["graphtag.preprocessing"])
    resized = Image.open(photo).convert("RGB").resize((preprocessing["width"], preprocessing["height"]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.png"
        resized.save(path)
        printed = subprocess.run(
            [graphtag, "tag", "--model", model, "--format", "jsonl", "--all-scores", str(path)],
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout
    scores = json.loads(printed)["scores"]
    pixels = numpy.asarray(resized, dtype=numpy.float32)
    if preprocessing["color"] == "bgr":
        pixels = pixels[:, :, ::-1]
    image = (pixels - numpy.float32(preprocessing["mean"])) * numpy.float32(preprocessing["scale"])
    pair = {
        "image": image.transpose(2, 0, 1).flatten().tolist(),
        "probabilities": [scores[label] for label in labels],
    }
    Path(output).write_text(json.dumps(pair))


if __name__ == "__main__":
    main()
