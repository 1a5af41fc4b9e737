#!/usr/bin/env bash
# Executed instructions per inference on ARM cores, one thread: bash tests/arm/cost.sh [MODEL]...
# They are work and not time, but an emulator counts them to 0.1 %. Without a model: the default one.
# Needs Debian's gcc, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, qemu-user; builds tract, half an hour of one core.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/arm/environment.sh
need gcc aarch64-linux-gnu-gcc qemu-aarch64
choose_compiler aarch64
export CARGO_TARGET_DIR=$arm/target
cargo build --profile arm --target "$target" --package graphtag
plugin=$arm/libinstructions.so
mkdir -p "$arm"
gcc -O2 -shared -fPIC -o "$plugin" tests/arm/instructions.c

# count CORE ARGUMENTS...: instructions of `graphtag bench`.
count() {
    on "$1" -plugin "$plugin" -d plugin "$CARGO_TARGET_DIR/$target/arm/graphtag" bench "${@:2}" 2>&1 |
        awk '/^instructions:/ {print $2}'
}

# per_inference CORE ARGUMENTS...: a profile of N runs is N inferences more, one frame's preprocessing and the start
# aside; the difference of two such differences is inferences alone.
per_inference() {
    local one three
    one=$(($(count "$@" --runs 1 --profile) - $(count "$@" --runs 1)))
    three=$(($(count "$@" --runs 3 --profile) - $(count "$@" --runs 3)))
    echo $(((three - one) / 2))
}

[ $# -gt 0 ] || set -- models/zoo/coco80-lite0-int8.onnx
for model; do
    for core in cortex-a53 cortex-a72 cortex-a76 max; do
        for engine in graphtag tract; do
            instructions=$(per_inference "$core" --model "$model" --engine "$engine")
            awk -v n="$instructions" -v what="$model $core $engine" \
                'BEGIN {printf "%s: %.1f million instructions per inference\n", what, n / 1e6}'
        done
    done
done
