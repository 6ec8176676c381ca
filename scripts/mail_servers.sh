#!/bin/sh
# Unpack mail servers for tests/real_servers, each in a tree of its own that can be chrooted into: .venv/mail-servers/NAME.
# Their Debian packages conflict, so none is installed. What is there already stays. Needs apt-get, but not root.
#   sh scripts/mail_servers.sh                  all of them, or those that REAL_SERVERS names
#   sh scripts/mail_servers.sh postfix exim     these
set -eu
cd "$(dirname "$0")/.."
trees="$PWD/.venv/mail-servers"
script="$PWD/scripts/mail_servers.sh"

fail() {
    echo "The mail servers for the tests cannot be unpacked: $1" >&2
    exit 1
}

packages_of() {
    case "$1" in
        postfix) echo postfix libsasl2-2 libsasl2-modules libsasl2-modules-db sasl2-bin ;;
        exim) echo exim4-daemon-light ;;
        opensmtpd) echo opensmtpd ;;
        *) fail "there is no server called $1, only postfix, exim and opensmtpd" ;;
    esac
}

is_installed() {
    dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed
}

libraries_of() { # the libraries that this package depends on
    apt-cache depends "$1" | sed -n 's/^ *|\{0,1\}\(Pre\)\{0,1\}Depends: \(lib[^<>]*\)$/\2/p' | cut -d : -f 1
}

download() { # a package into the current folder
    if ! apt-cache show "$1" >/dev/null 2>&1 && [ "$(id -u)" = 0 ]; then
        apt-get update -qq || true
    fi
    if ! apt-get -q -o APT::Sandbox::User=root download "$1" >download.log 2>&1; then
        cat download.log >&2
        fail "apt-get cannot download the package $1. Try again online, and after apt-get update."
    fi
}

unpack() { # packages, and the libraries they need that this machine lacks, into the tree
    tree=$1
    shift
    waiting="$*"
    done=" "
    while [ -n "$waiting" ]; do
        next=""
        for package in $waiting; do
            case "$done" in *" $package "*) continue ;; esac
            done="$done$package "
            rm -f ./*.deb
            download "$package"
            dpkg -x ./*.deb "$tree" || fail "the package $package is damaged"
            for library in $(libraries_of "$package"); do
                is_installed "$library" || next="$next $library"
            done
        done
        waiting=$next
    done
}

copy_libraries() { # what the programs of the tree load from this machine, so that they find it in there
    tree=$1
    places=$(find "$tree" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -s -d : -)
    find "$tree" -type f \( -perm -u+x -o -name '*.so*' \) -exec env LD_LIBRARY_PATH="$places" ldd {} + >ldd.log 2>/dev/null || true
    lost=$(sed -n 's/^[[:space:]]*\(.*\) => not found.*/\1/p' ldd.log | sort -u | paste -s -d ' ' -)
    [ -z "$lost" ] || fail "no package brought $lost for $(basename "$tree")"
    { sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' ldd.log; echo /bin/sh; ldd /bin/sh | grep -o '/[^ ]*'; } |
        sort -u | while read -r file; do
        case "$file" in "$tree"*) continue ;; esac
        [ -e "$tree$file" ] || cp -L --parents "$file" "$tree"
    done
}

make_tree() {
    name=$1
    packages=$(packages_of "$name")
    [ "$trees/$name/.complete" -nt "$script" ] && return
    command -v apt-get >/dev/null && command -v dpkg >/dev/null || fail "$packages need apt-get and dpkg, as on Debian"
    mkdir -p "$trees"
    work=$(mktemp -d "$trees/.unpacking.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cd "$work"
    # shellcheck disable=SC2086
    unpack "$work/$name" $packages
    copy_libraries "$work/$name"
    rm -rf "$name/usr/share" "$name/etc"
    mkdir "$name/etc"
    apt-cache policy "${packages%% *}" | sed -n 's/^ *Candidate: //p' >"$name/.complete"
    rm -rf "${trees:?}/$name"
    mv -T "$name" "$trees/$name" 2>/dev/null || [ -e "$trees/$name/.complete" ] || fail "$trees/$name cannot be written"
    rm -rf "$work"
    trap - EXIT
    cd "$trees"
}

# shellcheck disable=SC2046
[ $# -gt 0 ] || set -- $(echo "${REAL_SERVERS:-postfix,exim,opensmtpd}" | tr , ' ')
for server in "$@"; do
    [ "$server" = aiosmtpd ] || make_tree "$server" # that one is a Python package
done
