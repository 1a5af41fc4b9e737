# For scripts, to be sourced in the repository's top folder: how to build for ARM, and how to run it.

export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never
# What these scripts make.
arm=$PWD/target/arm

# choose_target aarch64|armv7
choose_target() {
    case $1 in
        aarch64) target=aarch64-unknown-linux-gnu prefix=aarch64-linux-gnu emulator=qemu-aarch64 ;;
        armv7) target=armv7-unknown-linux-gnueabihf prefix=arm-linux-gnueabihf emulator=qemu-arm ;;
        *) echo "neither aarch64 nor armv7: $1" >&2 && exit 2 ;;
    esac
    local name=${target//-/_}
    export "CARGO_TARGET_${name^^}_LINKER=$prefix-gcc"
}

# Whether a compiler has the standard library for the target.
has_library() {
    [ -d "$("$1" --print target-libdir --target "$target")" ]
}

# choose_compiler aarch64|armv7: the one there is, with what rustup has, or Debian's.
choose_compiler() {
    choose_target "$1"
    bash tests/arm/toolchain.sh "$1"
    has_library rustc || export RUSTC=$arm/rust/bin/rustc
}

# Builds graphtag and the tests of the runtime, in one go, so that what they depend on is built once: tests/arm/run.sh and
# tests/arm/board.sh share it. Prints what cargo says in JSON.
build() {
    CARGO_TARGET_DIR=$arm/target cargo build --locked --profile arm --target "$target" --message-format \
        json-render-diagnostics --package graphtag-runtime --package graphtag --bins --tests
}

# Where build puts graphtag.
graphtag() {
    echo "$arm/target/$target/arm/graphtag"
}

# Ends the script if a program is missing: as a failure under CI, as skipped otherwise.
need() {
    local program
    for program; do
        command -v "$program" >/dev/null && continue
        echo "skipped: needs $program"
        [ "${CI:-}" = true ] && exit 1
        exit 0
    done
}

# on CORE PROGRAM...: runs it as on a core.
on() {
    "$emulator" -cpu "$1" -L "/usr/$prefix" "${@:2}"
}
