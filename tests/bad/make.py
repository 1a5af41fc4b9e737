#!/usr/bin/env python3
"""Writes the corpus of bad photos, models and label files, and what is good and small in ../fixtures.

Needs Python alone. The same script always writes the same bytes.
"""

import json
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).parent
PHOTOS, MODELS, LABELS = HERE / "photos", HERE / "models", HERE / "labels"
FIXTURES = HERE.parent / "fixtures"


# --- photos


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows, extra=b""):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", rows) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def jpeg_header(width, height):
    """A JPEG with all its headers and no data."""
    tables = b"\xff\xdb\x00\x43\x00" + b"\x01" * 64
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03\x01\x22\x00\x02\x11\x00\x03\x11\x00"
    huffman = b"".join(
        b"\xff\xc4\x00\x14" + bytes([table]) + b"\x01" + b"\x00" * 15 + b"\x00" for table in (0x00, 0x10)
    )
    scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x00\x03\x00\x00\x3f\x00"
    return b"\xff\xd8" + tables + frame + huffman + scan + b"\x00" * 64 + b"\xff\xd9"


def gif(width, height):
    screen = struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\x00\x00\x00\xff\xff\xff"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0)
    return b"GIF89a" + screen + frame + b"\x02\x02\x44\x01\x00\x3b"


def webp(width, height):
    bits = (width - 1) | (height - 1) << 14
    data = b"\x2f" + struct.pack("<I", bits) + b"\x00" * 19
    return b"RIFF" + struct.pack("<I", 12 + len(data)) + b"WEBPVP8L" + struct.pack("<I", len(data)) + data


def bmp(width, height):
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + info


def tiff(width, height):
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, 16)]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\x00" + struct.pack("<I", 24) + b"\x00" * 16 + directory + struct.pack("<I", 0)


def write_photos():
    cat = (HERE.parent / "photos" / "cat.jpg").read_bytes()
    small = png(16, 16, 8, 2, zlib.compress(b"".join(b"\x00" + bytes(range(48)) for _ in range(16))))
    megabytes = zlib.compress(b"\x00" * (64 << 20), 9)
    files = {
        "empty.jpg": b"",
        "truncated.jpg": cat[: len(cat) // 3],
        "truncated.png": small[: len(small) // 2],
        "text.jpg": b"This is no photo.\n",
        "zeros.png": b"\x00" * 256,
        "header.jpg": jpeg_header(64, 64)[:20],
        "noise.jpg": b"\xff\xd8\xff\xe0" + bytes(i * 97 % 251 for i in range(512)),
        "bomb_header.png": png(60000, 60000, 8, 2, zlib.compress(b"\x00" * 64)),
        # 50 kB that do expand to 20,000 x 20,000 pixels.
        "bomb_data.png": png(20000, 20000, 1, 0, zlib.compress(b"\x00" * (2501 * 20000), 9)),
        # An innocent size, but 64 MB of text.
        "bomb_text.png": png(
            16, 16, 8, 2, zlib.compress(b"\x00"), png_chunk(b"zTXt", b"a\x00\x00" + megabytes)
        ),
        "bomb_profile.png": png(
            16, 16, 8, 2, zlib.compress(b"\x00"), png_chunk(b"iCCP", b"a\x00\x00" + megabytes)
        ),
        "bomb.jpg": jpeg_header(65500, 65500),
        "bomb.gif": gif(65535, 65535),
        "bomb.webp": webp(16383, 16383),
        "bomb.bmp": bmp(40000, 40000),
        "bomb.tiff": tiff(60000, 60000),
        "bomb.ppm": b"P6 60000 60000 255\n" + b"\x00" * 64,
    }
    for name, content in files.items():
        (PHOTOS / name).write_bytes(content)
    row = b"\x00" + bytes([200, 30, 40]) * 6700
    (FIXTURES / "large.png").write_bytes(png(6700, 6700, 8, 2, zlib.compress(row * 6700, 9)))


# --- models: ONNX is a protobuf; these few lines write the messages that are needed


def varint(value):
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


FLOAT, INT64 = 1, 7


def value_info(name, shape, kind=FLOAT):
    dims = b"".join(field(1, field(1, side) if isinstance(side, int) else field(2, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def tensor(name, dims, kind, raw):
    return b"".join(field(1, side) for side in dims) + field(2, kind) + field(8, name) + field(9, raw)


def node(operation, inputs, output, attributes=b""):
    names = b"".join(field(1, name) for name in inputs)
    return names + field(2, output) + field(3, output) + field(4, operation) + attributes


def axis(value):
    return field(5, field(1, "axis") + field(3, value) + field(20, 2))


def model(nodes, inputs, outputs, tensors=(), properties=None):
    graph = b"".join(field(1, entry) for entry in nodes) + field(2, "graph")
    graph += b"".join(field(5, entry) for entry in tensors)
    graph += b"".join(field(11, entry) for entry in inputs)
    graph += b"".join(field(12, entry) for entry in outputs)
    entries = b"".join(field(14, field(1, key) + field(2, value)) for key, value in (properties or {}).items())
    return field(1, 8) + field(8, field(1, "") + field(2, 13)) + entries + field(7, graph)


IMAGE = value_info("image", [1, 3, 8, 8])
MEANS = [node("GlobalAveragePool", ["image"], "pooled"), node("Flatten", ["pooled"], "logits", axis(1))]
SCORES = value_info("logits", [1, 3])


def graphtag_properties(**changes):
    properties = {
        "schema_version": 1,
        "name": "colours",
        "labels": ["red", "green", "blue"],
        "thresholds": [0.75, 0.25, 0.5],
        "preprocessing": {
            "height": 8,
            "width": 8,
            "resize": "stretch",
            "filter": "bilinear",
            "mean": [127.5] * 3,
            "scale": [0.02] * 3,
            "color": "rgb",
        },
        "architecture": None,
        "training": {"made by": "tests/bad/make.py"},
        "quantization": None,
        "accuracy": [],
    }
    properties.update(changes)
    return {f"graphtag.{key}": json.dumps(value) for key, value in properties.items() if value != "missing"}


def chain(extra_nodes, tensors=(), last="logits"):
    """The colours model with a branch that is added to its output."""
    nodes = MEANS + extra_nodes + [node("Add", ["logits", last], "sum")]
    return model(nodes, [IMAGE], [value_info("sum", [1, 3])], tensors)


def write_models():
    colours = model(MEANS, [IMAGE], [SCORES])
    probabilities = MEANS + [node("Sigmoid", ["logits"], "probabilities")]
    ours = model(probabilities, [IMAGE], [value_info("probabilities", [1, 3])], (), graphtag_properties())
    (FIXTURES / "colours_foreign.onnx").write_bytes(colours)
    (FIXTURES / "colours.onnx").write_bytes(ours)

    million_by_million = tensor("shape", [2], INT64, struct.pack("<qq", 10**6, 10**6))
    kernel = tensor("kernel", [3, 3, 200000, 200000], FLOAT, b"\x00" * 16)
    files = {
        "empty.onnx": b"",
        "text.onnx": b"This is no model.\n",
        "truncated.onnx": ours[: len(ours) * 2 // 3],
        "no_labels.onnx": colours,
        "two_inputs.onnx": model(MEANS, [IMAGE, value_info("other", [1])], [SCORES]),
        "two_outputs.onnx": model(MEANS, [IMAGE], [SCORES, value_info("pooled", [1, 3, 1, 1])]),
        "rank_2_input.onnx": model(
            [node("Flatten", ["image"], "logits", axis(1))], [value_info("image", [1, 3])], [SCORES]
        ),
        "channels_last.onnx": model(MEANS, [value_info("image", [1, 8, 8, 3])], [SCORES]),
        "batch_of_4.onnx": model(MEANS, [value_info("image", [4, 3, 8, 8])], [SCORES]),
        "unknown_size.onnx": model(MEANS, [value_info("image", [1, 3, "height", "width"])], [SCORES]),
        "integer_input.onnx": model(MEANS, [value_info("image", [1, 3, 8, 8], INT64)], [SCORES]),
        "map_output.onnx": model([node("Relu", ["image"], "logits")], [IMAGE], [SCORES]),
        "unconnected.onnx": model([node("Relu", ["elsewhere"], "logits")], [IMAGE], [SCORES]),
        "missing_output.onnx": model([node("Relu", ["image"], "other")], [IMAGE], [SCORES]),
        "cycle.onnx": model(
            [node("Add", ["image", "logits"], "a"), node("Relu", ["a"], "logits")], [IMAGE], [SCORES]
        ),
        "unknown_operation.onnx": model([node("Frobnicate", ["image"], "logits")], [IMAGE], [SCORES]),
        "shapes_disagree.onnx": chain([], [tensor("bias", [7], FLOAT, b"\x00" * 28)], "bias"),
        "data_too_short.onnx": chain([], [tensor("bias", [3], FLOAT, b"\x00" * 8)], "bias"),
        "negative_shape.onnx": chain([], [tensor("bias", [-3], FLOAT, b"\x00" * 8)], "bias"),
        "bomb_input.onnx": model(MEANS, [value_info("image", [1, 3, 10**6, 10**6])], [SCORES]),
        "bomb_tensor.onnx": chain([], [kernel], "kernel"),
        "bomb_constant.onnx": chain(
            [node("ConstantOfShape", ["shape"], "big"), node("ReduceMax", ["big"], "one")],
            [million_by_million],
            "one",
        ),
        "bomb_expand.onnx": chain(
            [node("Expand", ["logits", "shape"], "big"), node("ReduceMax", ["big"], "one")],
            [tensor("shape", [2], INT64, struct.pack("<qq", 10**9, 3))],
            "one",
        ),
        "bomb_tile.onnx": chain(
            [node("Tile", ["logits", "shape"], "big"), node("ReduceMax", ["big"], "one")],
            [million_by_million],
            "one",
        ),
        "newer_schema.onnx": model(
            probabilities, [IMAGE], [value_info("probabilities", [1, 3])], (), graphtag_properties(schema_version=99)
        ),
        "no_thresholds.onnx": model(
            probabilities, [IMAGE], [value_info("probabilities", [1, 3])], (), graphtag_properties(thresholds="missing")
        ),
        "label_too_many.onnx": model(
            probabilities,
            [IMAGE],
            [value_info("probabilities", [1, 3])],
            (),
            graphtag_properties(labels=["red", "green", "blue", "grey"], thresholds=[0.5] * 4),
        ),
        "other_size.onnx": model(
            probabilities,
            [value_info("image", [1, 3, 16, 16])],
            [value_info("probabilities", [1, 3])],
            (),
            graphtag_properties(),
        ),
    }
    for name, content in files.items():
        (MODELS / name).write_bytes(content)


def write_labels():
    (FIXTURES / "colours.txt").write_bytes(b"red\ngreen\nblue\n")
    files = {
        "empty.txt": b"",
        "two.txt": b"red\ngreen\n",
        "four.txt": b"red\ngreen\nblue\ngrey\n",
        "repeated.txt": b"red\ngreen\nred\n",
        "gap.txt": b"red\n\nblue\n",
        "binary.txt": b"red\n\xff\xfe\nblue\n",
        "control.txt": b"red\ngr\x1been\nblue\n",
    }
    for name, content in files.items():
        (LABELS / name).write_bytes(content)


for folder in (PHOTOS, MODELS, LABELS, FIXTURES):
    folder.mkdir(exist_ok=True)
write_photos()
write_models()
write_labels()
