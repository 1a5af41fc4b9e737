"""Classifiers of the shapes of torchvision's, with random weights, quantised by ONNX Runtime's own quantiser.

    python networks.py DIRECTORY [--side 224] [--labels 1000] [--width 1.0]

writes NAME.onnx (float), NAME-qdq.onnx and NAME-qoperator.onnx for each network. What a network says means nothing;
what it costs, and how its graph looks, is that of the trained one.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

OPSET = 17


class Builder:
    """A graph in the making; every method returns the name of the tensor that it adds."""

    def __init__(self, side, seed):
        self.random = np.random.default_rng(seed)
        self.nodes, self.constants = [], []
        self.channels = {"image": 3}
        self.side = side

    def constant(self, values, name):
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, operation, inputs, channels, **attributes):
        name = f"{operation.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operation, inputs, [name], name=name, **attributes))
        self.channels[name] = channels
        return name

    def convolution(self, x, outputs, kernel=1, stride=1, groups=1):
        inputs = self.channels[x] // groups
        shape = (outputs, inputs, kernel, kernel)
        weights = self.random.normal(0, (2 / (inputs * kernel * kernel)) ** 0.5, shape)
        # Channels differ in range, as trained ones do.
        weights *= self.random.uniform(0.5, 1.5, (outputs, 1, 1, 1))
        number = len(self.nodes)
        weights = self.constant(weights.astype(np.float32), f"weights_{number}")
        bias = self.constant(self.random.normal(0, 0.1, outputs).astype(np.float32), f"bias_{number}")
        return self.node("Conv", [x, weights, bias], outputs, group=groups, kernel_shape=[kernel] * 2,
                         pads=[kernel // 2] * 4, strides=[stride] * 2)

    def linear(self, x, outputs):
        inputs, number = self.channels[x], len(self.nodes)
        weights = self.random.normal(0, (1 / inputs) ** 0.5, (outputs, inputs)).astype(np.float32)
        bias = self.random.normal(0, 0.1, outputs).astype(np.float32)
        operands = [x, self.constant(weights, f"weights_{number}"), self.constant(bias, f"bias_{number}")]
        return self.node("Gemm", operands, outputs, transB=1)

    def relu6(self, x):
        bounds = [np.float32(0), np.float32(6)]
        names = [self.constant(bound, f"bound_{len(self.nodes)}_{bound:.0f}") for bound in bounds]
        return self.node("Clip", [x, *names], self.channels[x])

    def same(self, operation, *inputs, **attributes):
        return self.node(operation, list(inputs), self.channels[inputs[0]], **attributes)

    def head(self, x, labels):
        x = self.same("Flatten", self.same("GlobalAveragePool", x))
        return self.linear(x, labels)

    def model(self, output, labels):
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, self.side, self.side])
        logits = helper.make_tensor_value_info(output, TensorProto.FLOAT, [1, labels])
        graph = helper.make_graph(self.nodes, "network", [image], [logits], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)


def scaled(channels, width):
    """Channels at a width, a multiple of eight."""
    return max(8, int(channels * width + 4) // 8 * 8)


def mobilenet_v2(side, labels, width):
    """MobileNetV2 (Sandler and others 2018): inverted residuals, ReLU6."""
    net = Builder(side, seed=2)
    x = net.relu6(net.convolution("image", scaled(32, width), 3, 2))
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    if width < 0.5:
        stages = stages[:3]
    for expansion, channels, repeats, stride in stages:
        for repeat in range(repeats):
            y, inputs, outputs = x, net.channels[x], scaled(channels, width)
            if expansion != 1:
                y = net.relu6(net.convolution(y, inputs * expansion))
            hidden = net.channels[y]
            step = stride if repeat == 0 else 1
            y = net.relu6(net.convolution(y, hidden, 3, step, groups=hidden))
            y = net.convolution(y, outputs)
            x = net.same("Add", x, y) if step == 1 and inputs == outputs else y
    x = net.relu6(net.convolution(x, scaled(1280, min(width, 1.0))))
    return net.model(net.head(x, labels), labels)


def mobilenet_v3(side, labels, width):
    """MobileNetV3-small (Howard and others 2019): h-swish, squeeze and excitation."""
    net = Builder(side, seed=3)
    swish = lambda x: net.same("HardSwish", x)
    relu = lambda x: net.same("Relu", x)
    x = swish(net.convolution("image", scaled(16, width), 3, 2))
    blocks = [
        (3, 16, 16, True, relu, 2), (3, 72, 24, False, relu, 2), (3, 88, 24, False, relu, 1),
        (5, 96, 40, True, swish, 2), (5, 240, 40, True, swish, 1), (5, 240, 40, True, swish, 1),
        (5, 120, 48, True, swish, 1), (5, 144, 48, True, swish, 1), (5, 288, 96, True, swish, 2),
        (5, 576, 96, True, swish, 1), (5, 576, 96, True, swish, 1),
    ]
    if width < 0.5:
        blocks = blocks[:5]
    for kernel, hidden, outputs, squeezes, activation, stride in blocks:
        inputs, hidden, outputs = net.channels[x], scaled(hidden, width), scaled(outputs, width)
        y = activation(net.convolution(x, hidden))
        y = activation(net.convolution(y, hidden, kernel, stride, groups=hidden))
        if squeezes:
            gate = net.same("GlobalAveragePool", y)
            gate = relu(net.convolution(gate, scaled(hidden / 4, 1)))
            gate = net.same("HardSigmoid", net.convolution(gate, hidden), alpha=1 / 6, beta=0.5)
            y = net.same("Mul", y, gate)
        y = net.convolution(y, outputs)
        x = net.same("Add", x, y) if stride == 1 and inputs == outputs else y
    x = swish(net.convolution(x, scaled(576, width)))
    x = net.same("Flatten", net.same("GlobalAveragePool", x))
    x = swish(net.linear(x, scaled(1024, width)))
    return net.model(net.linear(x, labels), labels)


def resnet(side, labels, width):
    """ResNet-18 (He and others 2015): large first window, max pooling, residuals before the ReLU."""
    net = Builder(side, seed=18)
    relu = lambda x: net.same("Relu", x)
    x = relu(net.convolution("image", scaled(64, width), 7, 2))
    x = net.same("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for index, channels in enumerate([64, 128] if width < 0.5 else [64, 128, 256, 512]):
        for repeat in range(2):
            stride, outputs = (2 if index > 0 and repeat == 0 else 1), scaled(channels, width)
            y = relu(net.convolution(x, outputs, 3, stride))
            y = net.convolution(y, outputs, 3)
            if stride != 1:
                x = net.convolution(x, outputs, 1, stride)
            x = relu(net.same("Add", x, y))
    if width < 0.5:
        x = net.same("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1])
    return net.model(net.head(x, labels), labels)


def cosine(side, labels, width):
    """A few convolutions and a classifier of the angles between features and directions, as graphtag's own."""
    net = Builder(side, seed=7)
    x = net.relu6(net.convolution("image", scaled(64, width), 3, 2))
    x = net.relu6(net.convolution(x, scaled(256, width)))
    x = net.same("Flatten", net.same("GlobalAveragePool", x))
    features = net.channels[x]
    scale = net.constant(net.random.uniform(0.5, 1.5, (1, features)).astype(np.float32), "scale")
    x = net.same("Mul", x, scale)
    length = net.node("ReduceL2", [x], 1, axes=[1], keepdims=1)
    length = net.node("Max", [length, net.constant(np.full((1, 1), 1e-6, np.float32), "smallest")], 1)
    x = net.same("Div", x, length)
    directions = net.random.normal(0, 1, (features, labels)).astype(np.float32)
    return net.model(net.node("MatMul", [x, net.constant(directions, "directions")], labels), labels)


NETWORKS = {"mobilenet-v2": mobilenet_v2, "mobilenet-v3-small": mobilenet_v3, "resnet-18": resnet}


class Images(CalibrationDataReader):
    """Images of noise over a gradient."""

    def __init__(self, side):
        random = np.random.default_rng(5)
        slope = np.linspace(-1, 1, side, dtype=np.float32)
        noise = random.normal(0, 0.6, (4, 1, 3, side, side)).astype(np.float32)
        self.images = iter([{"image": np.clip(image + slope, -2, 2)} for image in noise])

    def get_next(self):
        return next(self.images, None)


def quantize(model, side, form, activations=QuantType.QUInt8, per_channel=True):
    """The int8 form of a float model: QuantFormat.QDQ or QuantFormat.QOperator."""
    with tempfile.TemporaryDirectory() as directory:
        source, target = Path(directory, "float.onnx"), Path(directory, "int8.onnx")
        onnx.save(model, source)
        quantize_static(source, target, Images(side), quant_format=form, per_channel=per_channel,
                        activation_type=activations, weight_type=QuantType.QInt8)
        return onnx.load(target)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--labels", type=int, default=1000)
    parser.add_argument("--width", type=float, default=1.0)
    options = parser.parse_args()
    options.directory.mkdir(parents=True, exist_ok=True)
    for name, network in NETWORKS.items():
        model = network(options.side, options.labels, options.width)
        onnx.save(model, options.directory / f"{name}.onnx")
        for form in [QuantFormat.QDQ, QuantFormat.QOperator]:
            quantized = quantize(model, options.side, form)
            onnx.save(quantized, options.directory / f"{name}-{form.name.lower()}.onnx")


if __name__ == "__main__":
    main()
