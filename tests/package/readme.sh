#!/usr/bin/env bash
# The commands of a section of README.md, one a line: tests/package/readme.sh 'Raspberry Pi in five minutes'
# They are the lines of its fences marked `sh`, less those that say that they need the camera.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
awk -v heading="## ${1:?the heading of a section}" '
    /^## / { section = $0 == heading }
    /^```/ { fence = section && $0 == "```sh"; next }
    fence && NF && !/# needs the camera$/
' README.md
