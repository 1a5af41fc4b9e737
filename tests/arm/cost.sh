#!/usr/bin/env bash
# What an inference costs on ARM cores: tests/arm/cost.sh
# Counts executed instructions per inference, one thread, for graphtag, tract alone and ONNX Runtime on the same files, on
# each core that differs in its instructions, and estimates times on boards; writes docs/arm-cost.md. Instructions are work
# and not time, but an emulator counts them to 0.1 %, on any machine. Half an hour on two cores. Needs python3-venv and pip,
# and Debian's gcc gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/arm/environment.sh
source tests/arm/debian.sh
need gcc aarch64-linux-gnu-gcc qemu-aarch64 python3 unshare
work=$arm/cost
default=models/zoo/coco80-lite0-int8.onnx
python=$work/venv/bin/python
plugin=$work/libinstructions.so
peer=$work/onnxruntime-program
llvm=$work/llvm/usr/lib/llvm-19/bin
export LD_LIBRARY_PATH=$work/llvm/usr/lib/x86_64-linux-gnu

make_programs() {
    mkdir -p "$work"
    gcc -O2 -shared -fPIC -o "$plugin" tests/arm/instructions.c
    aarch64-linux-gnu-gcc -O2 -o "$peer" tests/arm/onnxruntime.c -ldl
    choose_compiler aarch64
    build >/dev/null
}

fetch_peers() {
    [ -x "$python" ] || python3 -m venv "$work/venv"
    "$python" -m pip install --quiet --disable-pip-version-check numpy onnx onnxruntime
    local version
    version=$("$python" -c 'import onnxruntime; print(onnxruntime.__version__)')
    if ! compgen -G "$work/onnxruntime-$version/onnxruntime/capi/libonnxruntime.so.*" >/dev/null; then
        "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
            --platform manylinux_2_28_aarch64 -d "$work/wheels" "onnxruntime==$version"
        "$python" -m zipfile -e "$work/wheels/onnxruntime-$version"-*.whl "$work/onnxruntime-$version"
    fi
    library=$(compgen -G "$work/onnxruntime-$version/onnxruntime/capi/libonnxruntime.so.*")
    if [ ! -x "$llvm/llvm-mca" ]; then
        (use_debian "$arm/apt" && unpack "$work/llvm" llvm-19:amd64 libllvm19:amd64)
    fi
}

make_models() {
    [ -e "$work/mobilenet-v2-qdq.onnx" ] || "$python" tools/peers/networks.py "$work"
    "$python" tests/arm/float.py "$default" "$work/coco80-lite0.onnx"
}

# emulate CORE PLUGIN_OPTIONS PROGRAM...: what the plugin prints.
emulate() {
    unshare --map-root-user --mount bash tests/arm/arm_system.sh "$1" "$emulator" -cpu "$1" -L "/usr/$prefix" \
        -plugin "$plugin$2" -d plugin "${@:3}" 2>&1
}

count() {
    emulate "$1" '' "${@:2}" | awk '/^instructions:/ {print $2}'
}

# per_inference CORE ENGINE MODEL SIDE: by the difference of two runs, side by side, where a profile of N runs is N
# inferences more.
per_inference() {
    local runs=2 output program more fewer
    program=("$(graphtag)" bench --model "$3" --engine "$2" --runs $runs) more=(--profile) fewer=()
    if [ "$2" = onnxruntime ]; then
        output=$("$python" -c 'import onnx, sys; print(onnx.load(sys.argv[1]).graph.output[0].name)' "$3")
        program=("$peer" "$library" "$3" "$output" "$4") more=($((runs + 2))) fewer=(2)
    fi
    count "$1" "${program[@]}" "${fewer[@]}" >"$work/fewer" &
    count "$1" "${program[@]}" "${more[@]}" >"$work/more"
    wait $!
    awk -v runs=$runs '{counts[NR] = $1} END {printf "%.1f", (counts[1] - counts[2]) / runs / 1e6}' "$work/more" "$work/fewer"
}

# rows CORES NAME MODEL SIDE ENGINE...
rows() {
    local engine core row
    for engine in "${@:5}"; do
        row="| $2 | $engine |"
        for core in $1; do
            row+=" $(per_inference "$core" "$engine" "$3" "$4") |"
        done
        echo "$row"
    done
}

# Of boards whose core is CORE, from what its hottest blocks of instructions are.
estimate() {
    local program=("$(graphtag)" bench --model "$default" --runs 2)
    emulate "$1" ,blocks=400 "${program[@]}" >"$work/fewer" &
    emulate "$1" ,blocks=400 "${program[@]}" --profile >"$work/more"
    wait $!
    "$python" tests/arm/estimate.py "$1" 2 "$work/more" "$work/fewer" "$llvm"
}

report() {
    local core cores='cortex-a53 cortex-a72 cortex-a76'
    cat <<TEXT
# Cost on ARM

Written by \`tests/arm/cost.sh\`. Millions of executed instructions per inference, one thread, as qemu's user mode counts them:
work and not time. The cores stand for instruction sets: A53 and A72 have no dot products (Pi Zero 2 W, 3, 4, Jetson Nano), A76 has
them (Pi 5, Jetson Orin Nano), \`max\` also has 8-bit matrix products. "tract" is tract alone, without graphtag's engine; ONNX Runtime
is its aarch64 wheel $(basename "$library" | sed 's/libonnxruntime.so.//').

| int8 | engine | A53 | A72 | A76 | max |
|---|---|---|---|---|---|
TEXT
    rows "$cores max" 'EfficientNet-Lite0, 256 pixels (the default model)' "$default" 256 graphtag onnxruntime tract
    rows "$cores max" 'MobileNetV2, 224 pixels' "$work/mobilenet-v2-qdq.onnx" 224 graphtag onnxruntime
    cat <<TEXT

| float | engine | A53 | A72 | A76 |
|---|---|---|---|---|
TEXT
    rows "$cores" 'EfficientNet-Lite0, 256 pixels' "$work/coco80-lite0.onnx" 256 graphtag onnxruntime tract
    rows "$cores" 'MobileNetV2, 224 pixels' "$work/mobilenet-v2.onnx" 224 tract
    cat <<TEXT

## Estimated times

Not measured: nobody ran these boards. The default model in int8 on one core, from the instructions above and the instructions per
cycle that llvm-mca 19 finds for the forty hottest blocks of code (their share of all instructions is told) on its model of the
core, each block as if it followed itself. It assumes that all data is in the first cache and that every branch is foreseen, so
real times are longer, by how much depends on the board's memory; the clock is the highest that the board holds when cool.
LLVM has no model of the A76 and the A78AE: Neoverse N1, a server's A76, stands for both.

| board | core | LLVM's model | share of the instructions | instructions per cycle | estimate |
|---|---|---|---|---|---|
TEXT
    for core in $cores; do
        estimate $core
    done
}

make_programs
fetch_peers
make_models
report | tee "$work/report.md"
mv "$work/report.md" docs/arm-cost.md
