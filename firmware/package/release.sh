#!/usr/bin/env bash
# Makes a release: bash firmware/package/release.sh [TARGET]...
# For each target a Debian package, an archive and a bill of materials (CycloneDX), and the SHA-256 sums of all, in
# target/release-VERSION. Without targets: arm64, armhf and amd64. Needs what deb.sh needs, and cargo-cyclonedx. PROFILE
# is the profile of cargo (dist).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

[ $# -gt 0 ] || set -- aarch64-unknown-linux-gnu armv7-unknown-linux-gnueabihf x86_64-unknown-linux-gnu
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
release=$PWD/target/release-$version
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
rm -rf "$release"
mkdir -p "$release"

for target; do
    name=graphtag-$version-$target
    deb=$(bash firmware/package/deb.sh "$target" "${PROFILE:-dist}" | tail -n 1)
    cp "$deb" "$release/"

    # The archive has the package's files, for systems without dpkg.
    mkdir "$release/$name"
    dpkg-deb -x "$deb" "$release/$name"
    tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@"$SOURCE_DATE_EPOCH" \
        -C "$release" -cJf "$release/$name.tar.xz" "$name"
    rm -r "${release:?}/$name"

    # It writes beside every crate's manifest; the binary's is the one that counts. With a date in the environment it adds
    # neither the time nor a random number.
    cargo cyclonedx --quiet --manifest-path firmware/Cargo.toml --target "$target" --no-build-deps --format json \
        --spec-version 1.5 --override-filename "$name.cdx"
    python3 -B firmware/package/bill.py "$target" <"firmware/$name.cdx.json" >"$release/$name.cdx.json"
    find . -path ./target -prune -o -name "$name.cdx.json" -exec rm {} +
done

cd "$release"
sha256sum -- * >SHA256SUMS
cat SHA256SUMS
