"""Small quantised networks and what ONNX Runtime computes with them, for runtime/tests/quantized.

    python fixtures.py ../../runtime/tests/quantized
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import QuantFormat, QuantType

import networks

SIDE, LABELS, WIDTH = 32, 10, 0.25
FORMS = {
    "qdq-u8": (QuantFormat.QDQ, QuantType.QUInt8, True),
    "qdq-i8": (QuantFormat.QDQ, QuantType.QInt8, True),
    "qdq-u8-per-tensor": (QuantFormat.QDQ, QuantType.QUInt8, False),
    "qoperator-u8": (QuantFormat.QOperator, QuantType.QUInt8, True),
}


def image():
    """The image that the tests make as well: a pattern of 256 levels within -2..2."""
    index = np.arange(3 * SIDE * SIDE)
    levels = (index * 73 + index // 97 * 31) % 256
    return ((levels - 128) / 64).astype(np.float32).reshape(1, 3, SIDE, SIDE)


def output_step(model):
    """The scale by which the output is quantised."""
    last = next(node for node in model.graph.node if model.graph.output[0].name in node.output)
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    scale = last.input[7] if last.op_type == "QGemm" else last.input[1]
    return float(constants[scale])


def main():
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, network in {**networks.NETWORKS, "cosine": networks.cosine}.items():
        model = network(SIDE, LABELS, WIDTH)
        for form, (quant_format, activations, per_channel) in FORMS.items():
            quantized = networks.quantize(model, SIDE, quant_format, activations, per_channel)
            onnx.save(quantized, directory / f"{name}-{form}.onnx")
            options = onnxruntime.SessionOptions()
            # Each operator as its definition says, none fused.
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            session = onnxruntime.InferenceSession(quantized.SerializeToString(), options,
                                                   providers=["CPUExecutionProvider"])
            outputs = session.run(None, {"image": image()})[0][0]
            expected[f"{name}-{form}"] = {"step": output_step(quantized), "outputs": outputs.tolist()}
    text = json.dumps(expected, indent=1)
    (directory / "expected.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
