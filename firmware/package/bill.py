#!/usr/bin/env python3
"""A bill of materials of cargo-cyclonedx, less what is not in graphtag's binary.

    python3 firmware/package/bill.py TARGET < BILL > BILL

cargo-cyclonedx lists what the features of the whole workspace bring, and macros that run while crates are compiled; what
stays is what is linked for TARGET. References name no folders of the machine.
"""

import json
import sys

from licences import ROOT, linked


def main():
    bill = json.loads(sys.stdin.read().replace(f"path+file://{ROOT}/", ""))
    crates = {(package["name"], package["version"]) for package in linked(sys.argv[1])}
    bill["components"] = [
        component
        for component in bill["components"]
        if "download_url=file:" in component["purl"] or (component["name"], component["version"]) in crates
    ]
    kept = {component["bom-ref"] for component in [bill["metadata"]["component"], *bill["components"]]}
    missing = crates - {(component["name"], component["version"]) for component in bill["components"]}
    if missing:
        sys.exit(f"bill.py: linked and not in the bill: {sorted(missing)}")
    bill["dependencies"] = [
        {**entry, "dependsOn": [name for name in entry.get("dependsOn", []) if name in kept]}
        for entry in bill["dependencies"]
        if entry["ref"] in kept
    ]
    json.dump(bill, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
