#!/usr/bin/env bash
# graphtag on ARM cores, under emulation: tests/arm/run.sh [kernels|armv7]
# Tests the whole runtime and graphtag on each aarch64 core that differs in its instructions, and the kernels on a 32-bit one.
# What the default model computes in int8 is held to what x86-64 computes, bit by bit (runtime/tests/processors.rs).
# With `kernels` only the kernels, on both, which spares building tract and takes a few minutes; with `armv7` the whole
# runtime on the 32-bit core.
# Needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, gcc-arm-linux-gnueabihf, libc6-dev-armhf-cross, qemu-user.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/arm/environment.sh
need aarch64-linux-gnu-gcc qemu-aarch64 arm-linux-gnueabihf-gcc qemu-arm

# Pi 3, Pi 4 and Nano have no dot products; Pi 5 and Orin do; `max` is what no board has yet. The Pi 2 is 32-bit, and so are
# systems that leave a larger one's 64 bits unused.
cores_of() {
    case $1 in
        armv7) echo cortex-a7:neon ;;
        aarch64) printf '%s\n' cortex-a53:neon cortex-a72:neon cortex-a76:neon-dotprod max:neon-i8mm ;;
    esac
}

# The kernels need nothing but the standard library: a crate of their own spares building tract.
make_kernels_crate() {
    mkdir -p "$crate/src"
    cp Cargo.lock "$crate/"
    cat >"$crate/Cargo.toml" <<TOML
[package]
name = "kernels"
version = "0.0.0"
edition = "$(sed -n 's/^edition = "\(.*\)"/\1/p' Cargo.toml)"

[dev-dependencies]
$(grep -E '^(proptest|rand|rand_chacha) = ' Cargo.toml)

[workspace]

[profile.dev]
opt-level = 1
debug = "line-tables-only"
TOML
    echo "#[path = \"$PWD/runtime/src/kernels/mod.rs\"] pub mod kernels;" >"$crate/src/lib.rs"
    echo 'fn main() { println!("{}", kernels::kernels::InstructionSet::detect().name()) }' >"$crate/src/main.rs"
}

# The test programs of libraries and of folders `tests`, in what cargo says of what it has built.
test_programs() {
    sed -n '/"kind":\["\(lib\|test\)"\].*"test":true/s/.*"executable":"\([^"]*\)".*/\1/p'
}

# aarch64|armv7
run_kernels() {
    local crate=$arm/kernels core expected found program
    choose_compiler "$1"
    make_kernels_crate
    program=$(CARGO_TARGET_DIR=$crate/target cargo build --manifest-path "$crate/Cargo.toml" --target "$target" \
        --bins --tests --message-format json-render-diagnostics | test_programs)
    for core in $(cores_of "$1"); do
        expected=${core#*:} core=${core%:*}
        found=$(on "$core" "$crate/target/$target/debug/kernels")
        echo "==== the kernels on $core: $found (after $SECONDS s)"
        [ "$found" = "$expected" ]
        on "$core" "$program"
    done
}

# aarch64|armv7
run_runtime() {
    local core expected programs program
    choose_compiler "$1"
    programs=$(build | grep '/runtime#' | test_programs)
    for core in $(cores_of "$1"); do
        expected=${core#*:} core=${core%:*}
        echo "==== graphtag on $core (after $SECONDS s)"
        on "$core" "$(graphtag)" doctor | tee "$arm/doctor"
        grep -q "int8 kernels: .*$expected\$" "$arm/doctor"
        on "$core" "$(graphtag)" tag tests/photos
        for program in $programs; do
            # qemu's user mode knows nothing of V4L2; the boards have cameras.
            (cd runtime && on "$core" "$program" --skip source::v4l2)
        done
    done
}

case ${1:-} in
    kernels)
        run_kernels armv7
        run_kernels aarch64
        ;;
    armv7) run_runtime armv7 ;;
    '')
        run_kernels armv7
        run_runtime aarch64
        ;;
    *) echo "run.sh: neither kernels nor armv7: $1" >&2 && exit 2 ;;
esac
