#!/usr/bin/env bash
# Sees to it that there is a Rust compiler for ARM: tests/arm/toolchain.sh [aarch64|armv7]...
# The one there is, when it has the standard library or rustup can add it; else Debian's, unpacked into target/arm/rust and
# not installed. Debian has no library for armv7: it is built there, by that compiler. Needs Debian 12 for the latter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source tests/arm/environment.sh
source tests/arm/debian.sh
rust=$arm/rust
# Of Debian 12's security updates: the compiler that Firefox and Chromium are built with there.
series=rust-web

unpack_compiler() {
    use_debian "$arm/apt"
    local version library llvm
    version=$(apt-cache madison "libstd-$series-dev" | awk '{print $3}' | sort -V | tail -n 1)
    [ -n "$version" ] || {
        echo "toolchain.sh: no package libstd-$series-dev for arm64; Debian 12 with its security updates has it" >&2
        exit 1
    }
    library=libstd-$series-$(cut -d. -f1,2 <<<"$version")
    llvm=$(apt-cache show "$library:amd64=$version" | grep -o 'libllvm[0-9]*' | head -n 1)
    rm -rf "$rust"
    unpack "$rust" "$llvm:amd64" "rustc-web:amd64=$version" "$library:amd64=$version" "libstd-$series-dev:amd64=$version" \
        "libstd-$series-dev=$version" "$series-src=$version"
    mkdir -p "$rust/bin"
    cat >"$rust/bin/rustc" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH=$rust/usr/lib/x86_64-linux-gnu exec $rust/usr/bin/rustc "\$@"
WRAPPER
    chmod +x "$rust/bin/rustc"
}

# Builds the standard library as a dependency of an empty crate, and puts it where the compiler looks for it.
build_library() {
    local crate=$arm/library
    mkdir -p "$crate/src"
    printf '[package]\nname = "library"\nversion = "0.0.0"\n[workspace]\n' >"$crate/Cargo.toml"
    : >"$crate/src/lib.rs"
    (cd "$crate" && RUSTC=$rust/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$crate/target cargo build --release \
        --target "$target" -Zbuild-std=std,panic_abort,proc_macro,test)
    local libraries
    libraries=$("$rust/bin/rustc" --print target-libdir --target "$target")
    mkdir -p "$libraries.part"
    cp "$crate/target/$target"/release/deps/*.rlib "$libraries.part/"
    rm -f "$libraries.part"/liblibrary-*
    mv "$libraries.part" "$libraries"
    rm -r "$crate"
}

[ $# -gt 0 ] || set -- aarch64
for name; do
    choose_target "$name"
    if has_library rustc || rustup --quiet target add "$target" 2>/dev/null; then
        continue
    fi
    [ -x "$rust/bin/rustc" ] || unpack_compiler
    has_library "$rust/bin/rustc" || build_library
done
