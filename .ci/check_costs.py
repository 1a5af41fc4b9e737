#!/usr/bin/env python3
"""Compares `graphtag-tools cost` with MACs and parameters counted on the PyTorch networks, within 0.5 %, and
with those that the paper states, within 3 %.

Run:  python3 .ci/check_costs.py GRAPHTAG_TOOLS
"""

import json
import subprocess
import sys

# Millions, linear head, 1000 classes: input size, multiply-accumulates of convolutions and linear layers, parameters.
COUNTED = {
    "efficientnet-lite0": (224, 385.2, 4.652),
    "efficientnet-lite1": (240, 600.2, 5.417),
    "efficientnet-lite2": (260, 859.7, 6.092),
    "efficientnet-lite3": (280, 1383.3, 8.197),
    "efficientnet-lite4": (300, 2553.0, 13.007),
    "mobilenet-v3-large": (224, 216.6, 5.483),
    "mobilenet-v3-small": (224, 56.5, 2.543),
    "efficientnet-v2-s": (384, 8365.6, 21.458),
    "efficientnet-v2-l": (448, 48854.7, 118.515),
}
# Thousands of millions of multiply-accumulates that the paper states: ML-Decoder, 80 labels, 448 pixels.
PUBLISHED = {"efficientnet-v2-s": 12.28, "efficientnet-v2-l": 49.92, "tresnet-l": 36.15}


def main() -> int:
    deviations = []
    for architecture, (size, macs, parameters) in COUNTED.items():
        found = cost(architecture, size, "linear", 1000)
        for name, reference in [("macs", macs * 1e6), ("params", parameters * 1e6)]:
            deviations.append((f"{architecture} {name}", found[name], reference, 0.005))
    for architecture, macs in PUBLISHED.items():
        found = cost(architecture, 448, "ml-decoder", 80)
        deviations.append((f"{architecture} with ml-decoder macs", found["macs"], macs * 1e9, 0.03))
    failed = False
    for name, found, reference, tolerance in deviations:
        deviation = found / reference - 1
        failed |= abs(deviation) > tolerance
        print(f"{name}: {found}, reference {reference:.0f}, {deviation:+.2%}")
    return 1 if failed else 0


def cost(architecture: str, size: int, head: str, labels: int) -> dict:
    command = [sys.argv[1], "cost", "--arch", architecture, "--size", str(size), "--labels", str(labels)]
    command += ["--head", head, "--format", "json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


if __name__ == "__main__":
    sys.exit(main())
