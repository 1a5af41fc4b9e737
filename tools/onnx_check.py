#!/usr/bin/env python3
"""Checks model files of graphtag with onnx.checker and ONNX Runtime.

Run:  pip install -r tools/requirements.txt
      python3 tools/onnx_check.py models/zoo/*.onnx
      python3 tools/onnx_check.py --compare numbers.json MODEL.onnx

Each file must pass onnx.checker's full check, take one input `image` [1, 3, height, width] and give one output
`probabilities` [1, labels] with as many columns as its `graphtag.*` metadata lists labels, all within [0, 1].
ONNX Runtime runs it on the CPU, on a fixed pattern or, under --compare, on the numbers of a JSON file:

    {"image": [3 * height * width numbers], "probabilities": [one per label]}

and then its output must agree with these probabilities within --tolerance. Exit status: 0 all well, 1 a file
failed, 2 wrong usage.
"""

import argparse
import json
import sys

import numpy
import onnx
import onnxruntime


class Failure(Exception):
    """What is wrong with a model file."""


def require(condition: bool, message: str) -> None:
    if not condition:
        raise Failure(message)


def pattern(shape: list[int]) -> numpy.ndarray:
    """A smooth image with values in [-1, 1], the same on every machine."""
    _, channels, height, width = shape
    channel, row, column = numpy.ogrid[:channels, :height, :width]
    image = numpy.sin(row / 11.0 + channel) * numpy.cos(column / 17.0 - channel)
    return image[numpy.newaxis].astype(numpy.float32)


def label_count(model: onnx.ModelProto) -> int:
    """How many labels the metadata lists; it is JSON in `graphtag.labels`."""
    properties = {entry.key: entry.value for entry in model.metadata_props}
    require("graphtag.labels" in properties, "no graphtag.labels in the metadata")
    return len(json.loads(properties["graphtag.labels"]))


def session(path: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def check(path: str, expected: dict | None, tolerance: float) -> str:
    """Checks one file; returns a line that sums it up."""
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    runtime = session(path)
    inputs = [(value.name, value.shape) for value in runtime.get_inputs()]
    outputs = [(value.name, value.shape) for value in runtime.get_outputs()]
    require(len(inputs) == 1 and inputs[0][0] == "image", f"inputs are {inputs}, not one `image`")
    require(
        len(outputs) == 1 and outputs[0][0] == "probabilities",
        f"outputs are {outputs}, not one `probabilities`",
    )
    shape, labels = inputs[0][1], label_count(model)
    require(len(shape) == 4 and shape[:2] == [1, 3], f"image is {shape}, not [1, 3, height, width]")
    require(outputs[0][1] == [1, labels], f"probabilities are {outputs[0][1]} for {labels} labels")

    if expected is None:
        image = pattern(shape)
    else:
        image = numpy.array(expected["image"], dtype=numpy.float32).reshape(shape)
    (probabilities,) = runtime.run(["probabilities"], {"image": image})
    low, high = float(probabilities.min()), float(probabilities.max())
    require(numpy.isfinite(probabilities).all(), "some probabilities are not finite")
    require(0.0 <= low and high <= 1.0, f"probabilities range from {low} to {high}")
    summary = f"image {shape}, probabilities [1, {labels}] from {low:.6f} to {high:.6f}"
    if expected is None:
        return summary
    reference = numpy.array(expected["probabilities"], dtype=numpy.float32)
    require(reference.shape == (labels,), f"{reference.size} expected probabilities for {labels} labels")
    difference = float(numpy.abs(probabilities[0] - reference).max())
    require(difference <= tolerance, f"differs from graphtag by {difference:.3g}, more than {tolerance:g}")
    return f"{summary}, differs from graphtag by {difference:.3g}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="FILE.onnx")
    parser.add_argument("--compare", metavar="FILE.json", help="an image and graphtag's probabilities for it")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="largest absolute difference (1e-4)")
    arguments = parser.parse_args()
    expected = None
    if arguments.compare:
        with open(arguments.compare, encoding="utf-8") as file:
            expected = json.load(file)
    failed = False
    for path in arguments.models:
        try:
            print(f"{path}: {check(path, expected, arguments.tolerance)}")
        except Exception as error:  # onnx and ONNX Runtime raise types of their own
            print(f"{path}: {error}", file=sys.stderr)
            failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
