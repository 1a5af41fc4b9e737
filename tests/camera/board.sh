#!/usr/bin/env bash
# A whole machine with cameras, in qemu: tests/camera/board.sh GRAPHTAG
#
# Boots Debian's own kernel with a virtual camera for raw pictures (vivid) and one for JPEGs (v4l2loopback), and does there
# what tests/camera/init says: lists cameras, takes pictures of several formats and sizes, takes a camera away and
# brings it back. Prints a line per check; status 0 when all passed. One minute; writes to target/camera alone.
#
# Packages: busybox-static cpio ffmpeg gcc kmod linux-headers-amd64 make qemu-system-x86 v4l-utils. With ARCHITECTURE=arm64:
# qemu-system-arm instead, and BUSYBOX, V4L2_CTL and SYSROOT name an ARM busybox, an ARM v4l2-ctl and the folder that has
# its and graphtag's libraries below lib; JPEGs are then left out.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
graphtag=${1:?the graphtag binary}
architecture=${ARCHITECTURE:-amd64}
work=$here/../../target/camera/$architecture
root=$work/root

case $architecture in
    # Emulated: KVM within a virtual machine may hang.
    amd64) qemu=(qemu-system-x86_64 -M q35 -cpu max) console=ttyS0 ;;
    arm64) qemu=(qemu-system-aarch64 -M virt -cpu cortex-a72) console=ttyAMA0 ;;
    *) echo "board.sh: no machine for $architecture" && exit 2 ;;
esac

# A person may lack a program; CI may not.
need() {
    command -v "$1" >/dev/null && return
    echo "skipped: needs $1"
    [ "${CI:-}" != true ]
    exit
}

# NAME FOLDER: a package of Debian, unpacked and not installed.
unpack() {
    mkdir -p "$work" "$2"
    (cd "$work" && rm -f "$1"_*.deb && apt-get -qq -o APT::Sandbox::User=root download "$1")
    dpkg -x "$work/$1"_*.deb "$2"
}

fetch_kernel() {
    compgen -G "$work/kernel/lib/modules/*/modules.dep" >/dev/null && return
    local package
    package=$(apt-cache depends "linux-image-$architecture" | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
    [ -n "$package" ] || { echo "board.sh: apt has no linux-image-$architecture (apt-get update?)" && exit 1; }
    unpack "$package" "$work/kernel"
    depmod -b "$work/kernel" "$(ls "$work/kernel/lib/modules")"
}

# Debian has v4l2loopback as source alone.
make_loopback() {
    local headers=/usr/src/linux-headers-$version
    if [ "$architecture" != amd64 ] || [ ! -d "$headers" ]; then
        echo "skipped: JPEGs need $headers"
        [ "${CI:-}" != true ] || [ "$architecture" != amd64 ]
        return
    fi
    [ -d "$work/loopback" ] || unpack v4l2loopback-dkms "$work/loopback"
    local source
    source=$(echo "$work"/loopback/usr/src/v4l2loopback-*)
    make -s -C "$headers" M="$source" modules >"$work/loopback.log" 2>&1
    strip --strip-debug -o "$root/modules/v4l2loopback.ko" "$source/v4l2loopback.ko"
    for colour in red green blue; do
        ffmpeg -v error -y -f lavfi -i "color=$colour:s=640x480" -frames:v 1 -c:v mjpeg "$root/$colour.jpg"
    done
}

add_program() {
    cp -L "$1" "$root/bin/$2"
    if [ -n "${SYSROOT:-}" ]; then
        mkdir -p "$root/lib"
        cp -Lu "$SYSROOT"/lib/*.so* "$root/lib/"
        return
    fi
    local library
    ldd "$1" | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -Lu "$library" "$root$library"
    done
}

# With those that it needs, in the order of loading.
add_vivid() {
    mkdir -p "$root/modules"
    modprobe -d "$work/kernel" -S "$version" --show-depends vivid | while read -r _ path _; do
        cp "$path" "$root/modules/"
        basename "$path"
    done >"$root/modules/order"
}

for program in "${qemu[0]}" "${BUSYBOX:-busybox}" "${V4L2_CTL:-v4l2-ctl}" cpio depmod; do
    need "$program"
done
fetch_kernel
version=$(ls "$work/kernel/lib/modules")
rm -rf "$root"
mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp}
cp "$(command -v "${BUSYBOX:-busybox}")" "$root/bin/busybox"
add_program "$(command -v "${V4L2_CTL:-v4l2-ctl}")" v4l2-ctl
add_program "$graphtag" graphtag
add_vivid
make_loopback
cp "$here/init" "$root/init"
cp "$here/../fixtures/colours.onnx" "$root/model.onnx"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$work/initrd.gz"

timeout --foreground 170 "${qemu[@]}" -accel tcg,thread=multi -smp 2 -m 768 -nographic -no-reboot -net none \
    -kernel "$work"/kernel/boot/vmlinuz-* -initrd "$work/initrd.gz" -append "console=$console quiet panic=1" \
    </dev/null | tr -d '\r' | tee "$work/log" | grep --line-buffered -E '^(ok|FAILED|  \||[0-9]+ passed)' || true
grep -q '^[0-9]* passed, 0 failed' "$work/log" || {
    echo "board.sh: not all passed; everything that the machine said is in $work/log"
    exit 1
}
