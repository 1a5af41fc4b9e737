#!/usr/bin/env bash
# Makes the Debian package of a target: bash firmware/package/deb.sh [TARGET [PROFILE [CARGO-DEB-OPTION]...]]
# Without a target it is this machine's; aarch64-unknown-linux-gnu is arm64, armv7-unknown-linux-gnueabihf is armhf. The
# profile is `dist` unless given. The last line on standard output is the package's path.
#
# Needs cargo-deb (`cargo install --locked cargo-deb`), python3 and binutils; for another target its standard library (`rustup
# target add`, or RUSTC as made by tests/arm/toolchain.sh) and Debian's cross compiler. With GLIBC=2.27 or the like it
# links by cargo-zigbuild (`pip install ziglang cargo-zigbuild`) for systems with a glibc that old, and what was built
# before is of no use.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

host=$(rustc -vV | sed -n 's/^host: //p')
target=${1:-$host}
profile=${2:-dist}
aarch64=CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER
armv7=CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER
[ "$target" = "$host" ] || export "$aarch64=${!aarch64:-aarch64-linux-gnu-gcc}" "$armv7=${!armv7:-arm-linux-gnueabihf-gcc}"

options=(--package graphtag --profile "$profile" --locked)
if [ -n "${GLIBC:-}" ]; then
    env -u "$aarch64" -u "$armv7" cargo zigbuild "${options[@]}" --target "$target.$GLIBC" >&2
    options+=(--target "$target" --no-build)
elif [ "$target" != "$host" ]; then
    options+=(--target "$target")
fi
mkdir -p target
python3 firmware/package/licences.py "$target" | gzip -9n >target/licences.txt.gz
deb=$(cargo deb "${options[@]}" --compress-system --fast "${@:3}" | tail -n 1)

# dpkg-shlibdeps knows the symbols of this machine's glibc alone: the least version is told by the binary itself.
unpacked=$(mktemp -d)
trap 'rm -r "$unpacked"' EXIT
chmod 755 "$unpacked"
dpkg-deb --raw-extract "$deb" "$unpacked"
glibc=$(readelf --version-info "$unpacked/usr/bin/graphtag" | grep -o 'GLIBC_[0-9.]*' | sort -Vu | tail -n 1)
sed -i "s/^Depends: .*/&, libc6 (>= ${glibc#GLIBC_})/" "$unpacked/DEBIAN/control"
dpkg-deb --root-owner-group -Zxz --build "$unpacked" "$deb.part" >&2
mv "$deb.part" "$deb"
echo "$deb"
