"""What an ONNX classifier costs on graphtag and on its peers, measured in turns on the same machine.

    python compare.py --graphtag ../../target/release/graphtag MODEL.onnx [...] [--threads 1 2] [--rounds 15] [--runs 20]

Every engine is a process of its own that loads the model once. The engines run in turns, so that a disturbance hits all
alike; what counts is the median over the rounds of CPU time, and its ratio to graphtag's. Engines that can't run the
file are named with the reason.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WARM_UP = 3


class Unable(Exception):
    """Why an engine can't run a model."""


def input_of(model):
    """Name and shape of the input of an ONNX file."""
    import onnx

    graph = onnx.load(model).graph
    stored = {tensor.name for tensor in graph.initializer}
    tensor = next(tensor for tensor in graph.input if tensor.name not in stored)
    return tensor.name, [max(side.dim_value, 1) for side in tensor.type.tensor_type.shape.dim]


def onnx_runtime(model, threads, image, name):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Idle threads that spin would count as work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {name: image})[0]


def openvino(model, threads, image, name):
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    return lambda: request.infer({0: image})[0]


def mnn(model, threads, image, name):
    import MNN
    import numpy

    with tempfile.TemporaryDirectory() as directory:
        converted = str(Path(directory, "model.mnn"))
        command = [sys.executable, "-m", "MNN.tools.mnnconvert", "-f", "ONNX", "--modelFile", model,
                   "--MNNModel", converted, "--bizCode", "graphtag"]
        done = subprocess.run(command, capture_output=True, text=True)
        if not Path(converted).exists():
            raise Unable("its converter does not take the file: " + last_line(done.stdout + done.stderr))
        interpreter = MNN.Interpreter(converted)
    session = interpreter.createSession({"backend": "CPU", "numThread": threads, "precision": "high"})
    source = interpreter.getSessionInput(session)
    tensor = MNN.Tensor(image.shape, MNN.Halide_Type_Float, numpy.ascontiguousarray(image),
                        MNN.Tensor_DimensionType_Caffe)

    def run():
        source.copyFrom(tensor)
        interpreter.runSession(session)
        output = interpreter.getSessionOutput(session)
        shape = output.getShape()
        copy = MNN.Tensor(shape, MNN.Halide_Type_Float, numpy.zeros(shape, numpy.float32),
                          MNN.Tensor_DimensionType_Caffe)
        output.copyToHostTensor(copy)
        return copy.getNumpyData()

    return run


def ncnn(model, threads, image, name):
    import ncnn as library

    import onnx

    if any("Linear" in node.op_type for node in onnx.load(model).graph.node):
        raise Unable("it has no import for quantised ONNX operators: its int8 models come from its own table of scales")
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory, "model.onnx")
        copy.write_bytes(Path(model).read_bytes())
        shape = ",".join(str(side) for side in image.shape)
        try:
            subprocess.run(["pnnx", str(copy), f"inputshape=[{shape}]f32"], cwd=directory, capture_output=True)
        except FileNotFoundError:
            raise Unable("its converter, pnnx, is not installed") from None
        parameters, weights = Path(directory, "model.ncnn.param"), Path(directory, "model.ncnn.bin")
        if not parameters.exists():
            raise Unable("its converter, pnnx, does not take the file")
        net = library.Net()
        net.opt.num_threads = threads
        net.load_param(str(parameters))
        net.load_model(str(weights))

    def run():
        extractor = net.create_extractor()
        extractor.input("in0", library.Mat(image[0]))
        return extractor.extract("out0")[1]

    return run


def litert(model, threads, image, name):
    raise Unable("it runs .tflite files alone, and the converters from ONNX need all of TensorFlow")


PEERS = {"onnxruntime": onnx_runtime, "openvino": openvino, "mnn": mnn, "ncnn": ncnn, "litert": litert}


def last_line(text):
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no message"


def serve(engine, model, threads):
    """A worker: loads the model, then answers each line with a number of runs by milliseconds of CPU and wall clock."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What engines print is no answer.
    import numpy

    try:
        name, shape = input_of(model)
        image = numpy.random.default_rng(1).uniform(-1, 1, shape).astype(numpy.float32)
        run = PEERS[engine](model, threads, image, name)
        for _ in range(WARM_UP):
            run()
    except ImportError as error:
        print(json.dumps({"unable": f"not installed ({error})"}), file=answers, flush=True)
        return
    except Exception as error:
        print(json.dumps({"unable": last_line(str(error))}), file=answers, flush=True)
        return
    print(json.dumps({"ready": True}), file=answers, flush=True)
    for line in sys.stdin:
        taken = []
        for _ in range(int(line)):
            cpu, wall = time.process_time_ns(), time.perf_counter_ns()
            run()
            taken.append([(time.process_time_ns() - cpu) / 1e6, (time.perf_counter_ns() - wall) / 1e6])
        cpu, wall = (statistics.median(column) for column in zip(*taken))
        print(json.dumps({"cpu": cpu, "wall": wall}), file=answers, flush=True)


class Worker:
    """A peer in a process of its own."""

    def __init__(self, engine, model, threads):
        command = [sys.executable, __file__, model, "--worker", engine, "--threads", str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL, text=True)
        answer = self.answer()
        if "unable" in answer:
            self.process.wait()
            raise Unable(answer["unable"])

    def answer(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"unable": "it crashed"}

    def measure(self, runs):
        print(runs, file=self.process.stdin, flush=True)
        answer = self.answer()
        return answer["cpu"], answer["wall"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Graphtag:
    """`graphtag bench`, started anew for every round."""

    def __init__(self, binary, model, threads, engine):
        self.command = [binary, "bench", "--model", model, "--threads", str(threads), "--engine", engine,
                        "--format", "json", "--runs"]
        self.measure(1)

    def measure(self, runs):
        done = subprocess.run([*self.command, str(runs)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Unable(last_line(done.stderr))
        inference = json.loads(done.stdout)["inference"]
        return inference["cpu_ms"]["p50"], inference["wall_ms"]["p50"]

    def close(self):
        pass


def compare(options, model, threads):
    makers = {"graphtag": lambda: Graphtag(options.graphtag, model, threads, "graphtag")}
    if options.tract:
        makers["tract"] = lambda: Graphtag(options.graphtag, model, threads, "tract")
    for name in PEERS:
        makers[name] = lambda name=name: Worker(name, model, threads)
    engines, unable = {}, {}
    for name, make in makers.items():
        try:
            engines[name] = make()
        except Unable as reason:
            unable[name] = reason
    taken = {name: [] for name in engines}
    for _ in range(options.rounds):
        for name, engine in engines.items():
            taken[name].append(engine.measure(options.runs))
    for engine in engines.values():
        engine.close()
    medians = {name: [statistics.median(column) for column in zip(*times)] for name, times in taken.items()}
    print(f"\n{Path(model).name}, {threads} thread{'s' if threads > 1 else ''}: CPU ms, wall ms, CPU ratio to graphtag")
    own = medians.get("graphtag", [float("nan")])[0]
    for name, (cpu, wall) in medians.items():
        print(f"  {name:12} {cpu:9.3f} {wall:9.3f} {cpu / own:8.2f}")
    for name, reason in unable.items():
        print(f"  {name:12} not run: {re.sub(r'/[^ ]*/', '', str(reason))}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--graphtag", default="graphtag", help="the binary")
    parser.add_argument("--tract", action="store_true", help="also graphtag without its int8 engine")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return serve(options.worker, options.models[0], options.threads[0])
    for model in options.models:
        for threads in options.threads:
            compare(options, model, threads)


if __name__ == "__main__":
    main()
