#!/usr/bin/env bash
# Unpacks a Rust compiler with the standard library for aarch64 into a folder, from Debian's packages and without
# installing any: bash tests/arm/toolchain.sh FOLDER. For machines where `rustup target add` can't get it.
# What it makes: FOLDER/bin/rustc.
set -euo pipefail

folder=$(realpath -m "${1:?a folder to unpack into is needed}")
apt=$folder/apt
mkdir -p "$apt"/{lists/partial,cache/archives/partial,packages} "$folder/bin"
: >"$apt/status"

# The machine's own sources, but a state of our own, which knows arm64 and leaves the machine's alone.
cat >"$apt/apt.conf" <<CONF
Dir::State "$apt"; Dir::State::Lists "$apt/lists"; Dir::State::status "$apt/status"; Dir::Cache "$apt/cache";
APT::Architecture "amd64"; APT::Architectures { "amd64"; "arm64"; };
APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::Retries "3";
CONF
export APT_CONFIG=$apt/apt.conf
apt-get update -qq
version=$(apt-cache madison libstd-rust-web-dev:arm64 | awk '{print $3}' | sort -V | tail -n 1)
[ -n "$version" ] || {
    echo "toolchain.sh: no package libstd-rust-web-dev:arm64; Debian 12 with its security updates has it" >&2
    exit 1
}
library=libstd-rust-web-$(cut -d. -f1,2 <<<"$version")
llvm=$(apt-cache show "$library=$version" | grep -o 'libllvm[0-9]*' | head -n 1)
cd "$apt/packages"
apt-get download -qq "$llvm" \
    {rustc-web,libstd-rust-web-dev,"$library",libstd-rust-web-dev:arm64}="$version"
for package in *.deb; do
    dpkg -x "$package" "$folder"
done
cd "$folder"
rm -r "$apt"

cat >"$folder/bin/rustc" <<WRAPPER
#!/bin/sh
LD_LIBRARY_PATH=$folder/usr/lib/x86_64-linux-gnu exec $folder/usr/bin/rustc "\$@"
WRAPPER
chmod +x "$folder/bin/rustc"
"$folder/bin/rustc" --version
