#!/usr/bin/env python3
"""Compares `graphtag-tools cost` with MACs and parameters counted on the PyTorch networks, within 0.5 %.

Run:  python3 .ci/check_costs.py GRAPHTAG_TOOLS
"""

import json
import subprocess
import sys

# Millions, 1000 classes: input size, multiply-accumulates of convolutions and linear layers, parameters.
REFERENCE = {
    "efficientnet-lite0": (224, 385.2, 4.652),
    "efficientnet-lite1": (240, 600.2, 5.417),
    "efficientnet-lite2": (260, 859.7, 6.092),
    "efficientnet-lite3": (280, 1383.3, 8.197),
    "efficientnet-lite4": (300, 2553.0, 13.007),
}
TOLERANCE = 0.005


def main() -> int:
    failed = False
    for architecture, (size, macs, parameters) in REFERENCE.items():
        command = [sys.argv[1], "cost", "--arch", architecture, "--size", str(size), "--labels", "1000"]
        command += ["--head", "linear", "--format", "json"]
        cost = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for name, reference in [("macs", macs * 1e6), ("params", parameters * 1e6)]:
            deviation = cost[name] / reference - 1
            failed |= abs(deviation) > TOLERANCE
            print(f"{architecture} {name}: {cost[name]}, reference {reference:.0f}, {deviation:+.2%}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
