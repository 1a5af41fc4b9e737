#!/usr/bin/env bash
# Tests on ARM cores, under emulation: bash tests/arm/run.sh [all]
# Tests the kernels on every instruction set, which takes a few minutes; with `all` the whole runtime as well, with
# tract, which takes half an hour of one core. Needs Debian's gcc-aarch64-linux-gnu, libc6-dev-arm64-cross,
# gcc-arm-linux-gnueabihf, libc6-dev-armhf-cross, qemu-user.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/arm/environment.sh
need aarch64-linux-gnu-gcc qemu-aarch64 arm-linux-gnueabihf-gcc qemu-arm

# The kernels need nothing but the standard library: a crate of their own spares building tract.
make_kernels_crate() {
    local crate=$arm/kernels
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

# The test program of the library of a crate, built by `cargo test` with these arguments.
test_program() {
    cargo test --lib --no-run --target "$target" "$@" 2>&1 | tee /dev/stderr |
        sed -n 's/^ *Executable unittests .*(\(.*\))$/\1/p'
}

make_kernels_crate
export CARGO_TARGET_DIR=$arm/kernels/target
manifest=$arm/kernels/Cargo.toml
# Pi 3, Pi 4 and Nano have no dot products; Pi 5 and Orin do; `max` is what no board has yet. The Pi 2 is 32-bit, and so are
# systems that leave a larger one's 64 bits unused.
for architecture in armv7 aarch64; do
    choose_compiler "$architecture"
    tests=$(test_program --manifest-path "$manifest")
    cargo build --manifest-path "$manifest" --target "$target"
    while read -r of core expected; do
        [ "$of" = "$architecture" ] || continue
        found=$(on "$core" "$CARGO_TARGET_DIR/$target/debug/kernels")
        echo "==== $core: $found"
        [ "$found" = "$expected" ]
        on "$core" "$tests"
    done <<'CORES'
armv7 cortex-a7 neon
aarch64 cortex-a53 neon
aarch64 cortex-a72 neon
aarch64 cortex-a76 neon-dotprod
aarch64 max neon-i8mm
CORES
done

[ "${1:-}" = all ] || exit 0
export CARGO_TARGET_DIR=$arm/target
tests=$(test_program --profile arm --package graphtag-runtime)
for core in cortex-a72 cortex-a76; do
    echo "==== the runtime on $core"
    (cd runtime && on "$core" "$tests")
done

# The same photos have the same tags as on this machine.
cargo build --profile arm --target "$target" --package graphtag
env -u RUSTC -u CARGO_TARGET_DIR cargo build --release --package graphtag
expected=$(target/release/graphtag tag --format json tests/photos/*.jpg)
for core in cortex-a53 cortex-a72 cortex-a76 max; do
    echo "==== photos on $core"
    diff <(echo "$expected") \
        <(on "$core" "$CARGO_TARGET_DIR/$target/arm/graphtag" tag --format json tests/photos/*.jpg)
done
