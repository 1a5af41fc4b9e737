#!/usr/bin/env bash
# graphtag on emulated ARM boards with cameras: tests/arm/board.sh [virt|raspi3b]...
# Builds it and boots each board (see tests/camera/board.sh). `tests/arm/board.sh document [MACHINE]...` also writes
# what they said, or both, to docs/arm-board.md.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/arm/environment.sh

# What a board said, without the kernel's own lines, the sizes of each format, and what the shell says of what it ends.
log_of() {
    sed 's/\x1b\[[0-9;]*m//g; /^\[ *[0-9]*\.[0-9]*\] /d; /^ \{6\}[0-9].* fps$/d; /^Terminated$/d' "target/camera/arm64/$1/log"
}

document() {
    local machine
    cat <<'TEXT'
# graphtag on emulated ARM boards

Written by `tests/arm/board.sh document`: what boards said that qemu emulates, each with Debian 12's kernel for arm64, virtual
V4L2 cameras (vivid, and v4l2loopback for JPEGs) and no network. The checks are those of [tests/camera/init](../tests/camera/init). Times are the
board's: its clock counts instructions, at 1,000 million a second for all cores together, so they do not depend on the
machine that emulates it.
TEXT
    for machine; do
        printf '\n## %s\n\n```text\n' "$machine"
        log_of "$machine"
        printf '```\n'
    done
}

need aarch64-linux-gnu-gcc
choose_compiler aarch64
build >/dev/null
write=false
case ${1:-} in
    document)
        write=true
        shift
        [ $# -gt 0 ] || set -- virt raspi3b
        ;;
    '') set -- virt ;;
esac
for machine; do
    tests/camera/board.sh "$(graphtag)" "$machine"
done
if [ "$write" = true ]; then
    document "$@" >docs/arm-board.md
fi
