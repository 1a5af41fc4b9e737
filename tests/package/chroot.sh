#!/usr/bin/env bash
# What a package does to a system: tests/package/chroot.sh DEB
#
# Installs, upgrades, removes and purges it in a Debian of its own and does there what README.md says to do on a board.
# An amd64 package has a system that systemd has booted in a container; others have a folder and qemu-user, without
# services. Prints a line per check; status 0 when all passed. Needs root; writes to target/package alone.
#
# Packages: binutils debootstrap systemd-container; for other architectures binfmt-support qemu-user-static.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

deb=$(realpath "${1:?a package}")
architecture=$(dpkg-deb -f "$deb" Architecture)
version=$(dpkg-deb -f "$deb" Version)
work=$PWD/target/package/$architecture
root=$work/root
booted=$([ "$architecture" = "$(dpkg --print-architecture)" ] && echo true || echo false)
passed=0 failed=0

# A person may lack a program, or the right to be root; CI may not.
need() {
    local program
    for program; do
        command -v "$program" >/dev/null && continue
        echo "skipped: needs $program"
        [ "${CI:-}" != true ]
        exit
    done
}

# check NAME COMMAND...: whether the command succeeds.
check() {
    if "${@:2}" >"$work/check.log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        echo "ok      $1"
    else
        failed=$((failed + 1))
        echo "FAILED  $1"
        sed 's/^/        /' "$work/check.log"
    fi
}

not() {
    ! "$@"
}

# A Debian with what a board's system has: made once, copied for each run.
make_root() {
    local packages=adduser,bash-completion,ca-certificates,curl,sudo,systemd-sysv
    if [ ! -f "$work/base/made" ]; then
        rm -rf "$work/base"
        debootstrap --variant=minbase --include="$packages" --arch="$architecture" bookworm "$work/base" \
            >"$work/debootstrap.log" || { tail "$work/debootstrap.log" && exit 1; }
        touch "$work/base/made"
    fi
    rm -rf "$root"
    cp -a "$work/base" "$root"
    chroot "$root" useradd --create-home pi
    echo 'pi ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/pi"
    echo "127.0.1.1 $(hostname)" >>"$root/etc/hosts"
    cp "$deb" tests/photos/cat.jpg "$root/home/pi/"
}

# The same package with a later version, as an upgrade.
make_upgrade() {
    rm -rf "$work/upgrade"
    dpkg-deb -R "$deb" "$work/upgrade"
    sed -i "s/^Version: .*/Version: $version+later/" "$work/upgrade/DEBIAN/control"
    dpkg-deb -b -Zgzip -z1 "$work/upgrade" "$root/root/later.deb" >"$work/upgrade.log"
}

# Without a network but its own: what is installed has all it needs.
boot() {
    systemd-nspawn --quiet --register=no --keep-unit --private-network --directory="$root" --boot \
        >"$work/boot.log" 2>&1 </dev/null &
    container=$!
    trap 'kill "$container" && wait "$container" || true' EXIT
    for _ in $(seq 120); do
        leader=$(pgrep -P "$container" || true)
        [ -n "$leader" ] && inside systemctl is-system-running --wait >/dev/null 2>&1 && return
        sleep 0.5
    done
    echo 'the container did not boot' && cat "$work/boot.log" && exit 1
}

# inside COMMAND...: as root in the system.
inside() {
    if $booted; then
        nsenter --target "$leader" --all env -i PATH="$PATH" DEBIAN_FRONTEND=noninteractive "$@"
    else
        chroot "$root" env -i PATH="$PATH" DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

# All files of the system, less logs, caches, and what keeps account of packages.
files() {
    (cd "$root" && find etc home root usr var/lib \
        -path var/lib/dpkg -prune -o -path var/lib/apt -prune -o -path var/lib/systemd -prune -o \
        \( -name '*-' -path 'etc/*' \) -o -name ld.so.cache -o -print | sort)
}

# The libraries that the binary asks for are glibc's.
needs_glibc_alone() {
    readelf -d "$work/upgrade/usr/bin/graphtag" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' >"$work/needed"
    grep -qF libc.so.6 "$work/needed" && ! grep -vE '^(libc|libm|libdl|libpthread|librt)\.so\.[0-9]+$|^ld-linux' "$work/needed"
}

conffile() {
    inside dpkg-query -W -f '${Conffiles}' graphtag | grep -qF /etc/graphtag/graphtag.toml
}

documented() {
    local command manual=$root/usr/share/man/man1 documentation=$root/usr/share/doc/graphtag
    for command in graphtag $(inside graphtag --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\) .*/graphtag-\1/p'); do
        echo "$command"
        zgrep -q '^\.SH NAME' "$manual/$command.1.gz" || return
    done
    ls "$manual"/graphtag-run.1.gz "$documentation"/{copyright,NOTICE,changelog.Debian.gz}
}

# Panics name the crates that they come from, by the folders that cargo compiled them in.
licensed() {
    zcat "$root/usr/share/doc/graphtag/licences.txt.gz" >"$work/licences"
    strings "$root/usr/bin/graphtag" | grep -o '/registry/src/[^/]*/[^/]*/' | cut -d / -f 5 | sort -u >"$work/crates"
    grep -q '^tract-core-' "$work/crates" || return
    local crate
    while read -r crate; do
        echo "$crate"
        grep -qF -e "$crate/" -e "$crate (by " "$work/licences" || return
    done <"$work/crates"
}

completes() {
    local script='source /usr/share/bash-completion/completions/graphtag
        COMP_WORDS=(graphtag con) COMP_CWORD=1
        _graphtag graphtag con graphtag
        echo "${COMPREPLY[@]}"'
    [ "$(inside bash -c "$script")" = config ]
}

state() {
    inside curl --silent --fail --retry 20 --retry-delay 1 --retry-all-errors http://127.0.0.1:8080/api/state
}

# The commands of a section of README.md as the user of a board. qemu-user can't change users, so that there all is
# done by root; and where no services run, what is about them is left out.
follow() {
    local command
    while read -r command; do
        if $booted; then
            check "README: $command" inside runuser -u pi -- sh -c "cd && $command"
        elif ! grep -qE 'systemctl|journalctl|curl' <<<"$command"; then
            check "README: $command" inside sh -c "cd /home/pi && ${command//sudo /}"
        fi
    done < <(tests/package/readme.sh "$1")
}

property() {
    [ "$(inside systemctl show graphtag --property "$1" --value)" = "$2" ]
}

need debootstrap dpkg-deb readelf
$booted && need systemd-nspawn
[ "$(id -u)" = 0 ] || need root
mkdir -p "$work"
make_root
make_upgrade
! $booted || boot
files >"$work/files.before"

size=$(stat -c %s "$deb")
installed=$(($(dpkg-deb -f "$deb" Installed-Size) * 1024))
echo "the package has $size bytes, installed it takes $installed"
if [ "$architecture" = arm64 ] || [ "$architecture" = armhf ]; then
    check 'the package has at most 15 MB' test "$size" -le 15000000
    check 'installed it takes at most 40 MB' test "$installed" -le 40000000
fi
check 'the binary needs no library but glibc' needs_glibc_alone
sed 's/^/        /' "$work/needed"

follow 'Raspberry Pi in five minutes'
check 'its version is the program' inside dpkg --compare-versions "$version" ge \
    "$(inside graphtag --version | cut -d ' ' -f 2)"
check 'the user is of group video' inside sh -c 'id -nG graphtag | grep -qw video'
check 'the configuration is a conffile' conffile
check 'others do not read the configuration' not inside runuser -u nobody -- cat /etc/graphtag/graphtag.toml
check 'the service reads it' inside runuser -u graphtag -- cat /etc/graphtag/graphtag.toml
check 'every command has its page' documented
check 'every crate in the binary has its licence' licensed
check 'bash completes commands' completes
check 'a photo has its tag' inside sh -c 'graphtag tag /home/pi/cat.jpg | grep -qw cat'
if $booted; then
    check 'the service runs' property ActiveState active
    check 'the page answers' state
    check 'as its own user' inside sh -c 'test "$(stat -c %U /proc/$(systemctl show graphtag -P MainPID))" = graphtag'
    check 'it is enabled' inside systemctl is-enabled graphtag
    check 'it reloads' inside systemctl reload graphtag
    before=$(inside systemctl show graphtag --property MainPID --value)
fi

check 'it is upgraded' inside apt-get install -qq /root/later.deb
check 'the configuration is kept' grep -q '^max_fps' "$root/etc/graphtag/graphtag.toml"
if $booted; then
    check 'the service was started anew' not property MainPID "$before"
    check 'and runs' state
    check 'it is stopped' inside systemctl stop graphtag
    check 'cleanly' property Result success
    check 'and started' inside systemctl start graphtag
fi

check 'it is removed' inside apt-get remove -qq graphtag
check 'the program is gone' not test -e "$root/usr/bin/graphtag"
check 'the configuration stays' test -f "$root/etc/graphtag/graphtag.toml"
if $booted; then
    check 'the service is gone' not inside systemctl is-active graphtag
fi
check 'it is purged' inside apt-get purge -qq graphtag
check 'no user is left' not inside getent passwd graphtag
check 'no group is left' not inside getent group graphtag
files >"$work/files.after"
check 'no file is left' diff "$work/files.before" "$work/files.after"

follow 'Jetson in five minutes'
if $booted; then
    check 'the page answers' state
fi
check 'it is purged at once' inside apt-get purge -qq graphtag
files >"$work/files.after"
check 'no file is left' diff "$work/files.before" "$work/files.after"

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
