#!/usr/bin/env python3
"""Compares the int8 engine with ONNX Runtime, value by value, on photos.

Run:  python3 .ci/check_exact.py OUTPUTS GRAPHTAG MODEL.onnx PHOTO...

OUTPUTS is the program of runtime/examples/outputs.rs. The graph is cut after its last int8 map, the one that the head
reads, and both run what is left on the same numbers: no value of theirs may differ by more than one quantum. The
whole model must give every photo the tags that ONNX Runtime's probabilities call for.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnx
import onnxruntime
from onnx import helper
from onnx_pair import image_of, metadata, scaled


def cut(model: onnx.ModelProto) -> tuple[onnx.ModelProto, float]:
    """The model up to its last dequantised map, flattened to one row, and that map's scale."""
    last = [node for node in model.graph.node if node.op_type == "DequantizeLinear"][-1]
    scales = [tensor for tensor in model.graph.initializer if tensor.name == last.input[1]]
    scale = float(onnx.numpy_helper.to_array(scales[0]))
    part = onnx.ModelProto()
    part.CopyFrom(model)
    nodes = list(part.graph.node)
    del nodes[nodes.index(last) + 1:]
    nodes.append(helper.make_node("Flatten", [last.output[0]], ["flat"], axis=1))
    read = {name for node in nodes for name in node.input}
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in read]
    for field in (part.graph.node, part.graph.output, part.graph.value_info, part.graph.initializer, part.metadata_props):
        del field[:]
    part.graph.node.extend(nodes)
    part.graph.initializer.extend(initializers)
    part.graph.output.append(helper.make_tensor_value_info("flat", onnx.TensorProto.FLOAT, [1, None]))
    return part, scale


def run(model: onnx.ModelProto, image: numpy.ndarray) -> numpy.ndarray:
    """ONNX Runtime's output."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image[numpy.newaxis]})[0][0]


def printed(*command: object) -> str:
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> int:
    outputs, graphtag, path, *photos = sys.argv[1:]
    model = onnx.load(path)
    labels, thresholds = metadata(model, "labels"), numpy.float32(metadata(model, "thresholds"))
    part, scale = cut(model)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        part_path, numbers, png = (Path(folder) / name for name in ("part.onnx", "image", "photo.png"))
        onnx.save(part, part_path)
        for photo in photos:
            resized = scaled(photo, model)
            resized.save(png)
            image = image_of(resized, model)
            image.astype("<f4").tofile(numbers)

            ours = numpy.array(printed(outputs, part_path, numbers).split(), dtype=numpy.float32)
            steps = numpy.rint((ours - run(part, image)) / scale).astype(int)
            largest, different = int(numpy.abs(steps).max()), int(numpy.count_nonzero(steps))

            lines = printed(graphtag, "tag", "--model", path, "--format", "jsonl", png)
            tags = sorted(tag["label"] for tag in json.loads(lines)["tags"])
            above = run(model, image) >= thresholds
            expected = sorted(label for label, is_above in zip(labels, above) if is_above)

            # A map of a single value would be equal without telling anything.
            is_well = largest <= 1 and tags == expected and len(numpy.unique(ours)) > 100
            failed |= not is_well
            print(
                f"{photo}: {different} of {steps.size} values differ, by {largest} at most; tags {', '.join(tags)}"
                + ("" if tags == expected else f" instead of {', '.join(expected)}"),
                file=sys.stdout if is_well else sys.stderr,
            )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
