#!/usr/bin/env bash
# Runs a program where /proc/cpuinfo and /sys/devices/system/cpu tell of an ARM core in place of this machine's, for
# libraries that look there: arm_system.sh CORE COMMAND...
# Needs to be started in a mount namespace of its own: unshare --map-root-user --mount bash arm_system.sh ...
set -euo pipefail
case $1 in
    cortex-a53) part=0xd03 features= ;;
    cortex-a72) part=0xd08 features= ;;
    cortex-a76) part=0xd0b features=" fphp asimdhp asimddp" ;;
    *) part=0xd0b features=" fphp asimdhp asimddp sve i8mm" ;;
esac
cpuinfo=$(mktemp)
cat >"$cpuinfo" <<CPUINFO
processor	: 0
BogoMIPS	: 108.00
Features	: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid$features
CPU implementer	: 0x41
CPU architecture: 8
CPU variant	: 0x0
CPU part	: $part
CPU revision	: 1

CPUINFO
mount --bind "$cpuinfo" /proc/cpuinfo
mount -t tmpfs tmpfs /sys/devices/system/cpu
mkdir /sys/devices/system/cpu/cpu0
for list in possible present online; do
    echo 0 >"/sys/devices/system/cpu/$list"
done
"${@:2}"
