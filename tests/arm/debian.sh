# For scripts, to be sourced: Debian's packages, unpacked and not installed.

# use_debian STATE: from here on apt-get and apt-cache mean packages for arm64, and PACKAGE:amd64 one for this machine. They
# take from the machine's own sources, with a state of their own in the folder STATE that leaves the machine's alone.
use_debian() {
    local state=$1
    mkdir -p "$state"/{lists/partial,cache/archives/partial}
    : >"$state/status"
    cat >"$state/apt.conf" <<CONF
Dir::State "$state"; Dir::State::Lists "$state/lists"; Dir::State::status "$state/status"; Dir::Cache "$state/cache";
APT::Architecture "arm64"; APT::Architectures { "arm64"; "amd64"; };
APT::Sandbox::User "root"; Acquire::Languages "none"; Acquire::Retries "3";
CONF
    export APT_CONFIG=$state/apt.conf
    apt-get update -qq
}

# unpack FOLDER PACKAGE...: these alone.
unpack() {
    local folder=$1 packages
    packages=$(mktemp -d)
    (cd "$packages" && apt-get download -qq -o APT::Sandbox::User=root "${@:2}")
    mkdir -p "$folder"
    find "$packages" -name '*.deb' -exec dpkg -x {} "$folder" \;
    rm -r "$packages"
}

# unpack_all FOLDER PACKAGE...: and what they depend on.
unpack_all() {
    local folder=$1
    mkdir -p "$folder"
    apt-get clean
    apt-get install -qq --yes --no-install-recommends --download-only "${@:2}" >/dev/null
    find "$(dirname "$APT_CONFIG")/cache/archives" -name '*.deb' -exec dpkg -x {} "$folder" \;
}
