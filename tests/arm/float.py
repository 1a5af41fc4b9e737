"""The float form of an int8 network of QLinearConv, which costs what the network cost before it was quantised.

    python float.py INT8.onnx FLOAT.onnx
"""

import sys

import numpy as np
import onnx
from onnx import helper, numpy_helper


def float_form(model):
    """Convolutions in float, ReLU6 where saturation stood for it, and nothing that quantises."""
    graph = model.graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes, added = [], [numpy_helper.from_array(np.float32(bound), f"bound_{bound}") for bound in (0, 6)]
    renamed = {}

    def add(name, values):
        added.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    for node in graph.node:
        inputs = [renamed.get(name, name) for name in node.input]
        output = node.output[0]
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            renamed[output] = inputs[0]
            continue
        if node.op_type != "QLinearConv":
            del node.input[:]
            node.input.extend(inputs)
            nodes.append(node)
            continue
        x_scale, weights, scale, zero_point = (constants[node.input[index]] for index in (1, 3, 4, 5))
        scale = scale.reshape(-1, 1, 1, 1)
        names = [inputs[0], add(f"{output}.float_weight", (weights.astype(np.float32) - zero_point) * scale)]
        if len(node.input) > 8:
            names.append(add(f"{output}.float_bias", constants[node.input[8]] * scale.ravel() * x_scale))
        clipped = "relu6" in output
        convolution = helper.make_node("Conv", names, [f"{output}.sums" if clipped else output], name=output)
        convolution.attribute.extend(node.attribute)
        nodes.append(convolution)
        if clipped:
            nodes.append(helper.make_node("Clip", [f"{output}.sums", "bound_0", "bound_6"], [output], name=f"{output}.clip"))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in [*graph.initializer, *added] if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    return model


def main():
    source, target = sys.argv[1:]
    model = float_form(onnx.load(source))
    onnx.checker.check_model(model)
    onnx.save(model, target)


if __name__ == "__main__":
    main()
