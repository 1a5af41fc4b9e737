# For the scripts beside it, to be sourced in the repository's top folder: how to build for aarch64, and how to run it.

export CARGO_TERM_COLOR=never CARGO_TERM_PROGRESS_WHEN=never
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
target=aarch64-unknown-linux-gnu
folder=$PWD/target/arm

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

# A compiler that has the standard library: the one there is, with what rustup has, or Debian's.
choose_compiler() {
    local has_library='[ -d "$(rustc --print target-libdir --target '$target')" ]'
    if ! bash -c "$has_library" && ! rustup --quiet target add "$target" 2>/dev/null; then
        [ -x "$folder/rust/bin/rustc" ] || bash tests/arm/toolchain.sh "$folder/rust"
        export RUSTC=$folder/rust/bin/rustc
    fi
}

# on CORE PROGRAM...: runs it as on a core.
on() {
    qemu-aarch64 -cpu "$1" -L /usr/aarch64-linux-gnu "${@:2}"
}
