#!/usr/bin/env bash
# A whole machine with cameras, in qemu: tests/camera/board.sh GRAPHTAG [q35|virt|raspi3b]
#
# Boots Debian's own kernel with virtual cameras for raw pictures (vivid), one for JPEGs (v4l2loopback) and a screen, and
# does there what tests/camera/init says: lists cameras, takes pictures of several formats and sizes, shows real photos to
# a camera, takes a camera away and brings it back. Prints a line per check; status 0 when all passed. A minute or some;
# writes to target/camera alone.
#
# q35 is a PC and takes a GRAPHTAG of this machine; the others are ARM boards, without a network and, raspi3b, a screen.
# Packages: busybox-static cpio ffmpeg gcc kmod linux-headers-amd64 make qemu-system-x86 v4l-utils; for ARM
# gcc-aarch64-linux-gnu and qemu-system-arm.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
graphtag=${1:?the graphtag binary}
machine=${2:-q35}

common=(-smp 2 -m 768 -device virtio-gpu-pci)
modules=(vivid virtio_pci virtio_gpu)
# The clock of a board counts instructions, a thousand million a second: what it sees of time does not depend on what else
# this machine does, and waiting takes none. With such a clock Linux on a PC said nothing for ten minutes.
counted=(-accel tcg -icount shift=0,sleep=off)
case $machine in
    # Emulated: KVM within a virtual machine may hang.
    q35) architecture=amd64 console=ttyS0 qemu=(qemu-system-x86_64 -M q35 -cpu max -accel tcg,thread=multi "${common[@]}") ;;
    virt) architecture=arm64 console=ttyAMA0 qemu=(qemu-system-aarch64 -M virt -cpu cortex-a72 "${counted[@]}" "${common[@]}") ;;
    # The console is the second serial port; the watchdog is what turns it off.
    raspi3b) architecture=arm64 console=ttyS1 qemu=(qemu-system-aarch64 -M raspi3b "${counted[@]}" -serial null) modules=(vivid bcm2835_wdt) ;;
    *) echo "board.sh: no machine $machine" && exit 2 ;;
esac
packages=$repository/target/camera/$architecture
work=$packages/$machine
root=$work/root

# A person may lack a program; CI may not.
need() {
    command -v "$1" >/dev/null && return
    echo "skipped: needs $1"
    [ "${CI:-}" != true ]
    exit
}

# Debian's, unpacked below $packages: the kernel, a camera for JPEGs, which Debian has as source alone, and what an ARM
# machine needs beside them, with the headers that modules are built against.
fetch_packages() {
    [ "$architecture" = amd64 ] || use_debian "$packages/apt"
    local image version
    image=$(apt-cache depends "linux-image-$architecture" | sed -n 's/.*Depends: \(linux-image-.*\)/\1/p' | head -n 1)
    [ -n "$image" ] || { echo "board.sh: apt has no linux-image-$architecture (apt-get update?)" && exit 1; }
    version=${image#linux-image-}
    unpack "$packages/kernel" "$image"
    depmod -b "$packages/kernel" "$version"
    unpack "$packages/loopback" v4l2loopback-dkms
    if [ "$architecture" = arm64 ]; then
        unpack_all "$packages/system" busybox-static v4l-utils
        unpack "$packages/headers" "linux-headers-$version" "linux-headers-${version%-*}-common" linux-kbuild-6.1:amd64
        sed -i "s|/usr/src|$packages/headers/usr/src|" "$packages/headers/usr/src/linux-headers-$version/Makefile"
    fi
    touch "$packages/complete"
}

make_loopback() {
    local source headers=/usr/src/linux-headers-$version
    [ "$architecture" = amd64 ] || headers=$packages/headers$headers
    if [ ! -d "$headers" ]; then
        echo "skipped: JPEGs need $headers"
        [ "${CI:-}" != true ]
        return
    fi
    source=$(echo "$packages"/loopback/usr/src/v4l2loopback-*)
    make -s -C "$headers" M="$source" ${cross:+CROSS_COMPILE=$cross} modules >"$packages/loopback.log" 2>&1
    "${cross:-}strip" --strip-debug -o "$root/modules/v4l2loopback.ko" "$source/v4l2loopback.ko"
    for colour in red green blue; do
        ffmpeg -v error -y -f lavfi -i "color=$colour:s=640x480" -frames:v 1 -c:v mjpeg "$root/$colour.jpg"
    done
}

# The photos as a camera delivers them, and in `order` the label that each must get.
add_photos() {
    mkdir "$root/photos"
    sed -n 's/^ *"\(.*\)\.jpg": \["\([^"]*\)".*/\1 \2/p' "$repository/tests/photos/labels.json" >"$root/photos/order"
    local photo
    while read -r photo _; do
        ffmpeg -v error -nostdin -i "$repository/tests/photos/$photo.jpg" -pix_fmt yuyv422 -f rawvideo \
            -vf 'scale=640:480:force_original_aspect_ratio=increase,crop=640:480' "$root/photos/$photo.yuyv"
    done <"$root/photos/order"
    cp "$repository/tests/photos/dog.jpg" "$root/photos/"
}

add_programs() {
    mkdir -p "$root"/{bin,lib}
    cp "$graphtag" "$root/bin/graphtag"
    if [ "$architecture" = arm64 ]; then
        cp "$packages/system/bin/busybox" "$packages/system/usr/bin/v4l2-ctl" "$root/bin/"
        cp -L "$packages"/system/{,usr/}lib/aarch64-linux-gnu/*.so* "$root/lib/"
        return
    fi
    cp "$(command -v busybox)" "$(command -v v4l2-ctl)" "$root/bin/"
    local library
    ldd "$root"/bin/{graphtag,v4l2-ctl} | grep -o '/[^ ]*\.so[^ ]*' | while read -r library; do
        mkdir -p "$root$(dirname "$library")"
        cp -Lu "$library" "$root$library"
    done
}

# NAME...: with those that they need, in the order of loading.
add_modules() {
    local module
    mkdir -p "$root/modules"
    for module; do
        modprobe -d "$packages/kernel" -S "$version" --show-depends "$module"
    done | awk '$1 == "insmod" && !seen[$2]++ {print $2}' | while read -r module; do
        cp "$module" "$root/modules/"
        basename "$module"
    done >"$root/modules/order"
}

for program in "${qemu[0]}" cpio depmod ffmpeg; do
    need "$program"
done
source "$repository/tests/arm/debian.sh"
if [ "$architecture" = arm64 ]; then
    cross=aarch64-linux-gnu-
    need "${cross}gcc"
else
    need busybox
    need v4l2-ctl
fi
[ -e "$packages/complete" ] || fetch_packages
version=$(ls "$packages/kernel/lib/modules")
[ "$machine" != raspi3b ] || qemu+=(-dtb "$packages"/kernel/usr/lib/linux-image-*/broadcom/bcm2837-rpi-3-b.dtb)
rm -rf "$root"
mkdir -p "$root"/{dev,etc,proc,sys,tmp}
add_programs
add_modules "${modules[@]}"
make_loopback
add_photos
cp "$repository/tests/camera/init" "$root/init"
cp "$repository/tests/fixtures/colours.onnx" "$root/model.onnx"
(cd "$root" && find . | cpio -o -H newc --quiet) | gzip -1 >"$work/initrd.gz"

timeout --foreground 1800 "${qemu[@]}" -display none -serial stdio -no-reboot -net none \
    -kernel "$packages"/kernel/boot/vmlinuz-* -initrd "$work/initrd.gz" -append "console=$console quiet panic=1" \
    </dev/null | tr -d '\r' | tee "$work/log" | grep --line-buffered -E '^(ok|FAILED|  \||[0-9]+ passed)' || true
grep -q '^[0-9]* passed, 0 failed' "$work/log" || {
    echo "board.sh: not all passed; everything that the machine said is in $work/log"
    exit 1
}
