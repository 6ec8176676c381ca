#!/bin/sh
# Make sure that the system's packages are there: installed where we may, named where we may not.
#   sh scripts/system_packages.sh          for the browser tests: a browser and its fonts
#   sh scripts/system_packages.sh bench    for the benchmarks: Postfix with smtp-sink and smtp-source, and openssl
set -eu
PATH="$PATH:/usr/sbin"
missing=""
if [ "${1:-}" = bench ]; then
    for program in postfix smtp-sink smtp-source; do
        command -v "$program" >/dev/null 2>&1 || missing="postfix"
    done
    command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
else
    command -v chromium >/dev/null 2>&1 || missing="chromium"
    [ -n "$(find /usr/share/fonts -name 'NotoNaskhArabic*' -print -quit 2>/dev/null)" ] || missing="$missing fonts-noto-core"
fi
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing $missing"
    apt-get update -qq
    case "$missing" in
        # The benchmark runs an instance of its own: the package shall be given none, so that nothing listens.
        *postfix*) echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections ;;
    esac
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "These system packages are missing, and only root can install them: $missing" >&2
    echo "On Debian: apt-get install $missing" >&2
    exit 1
fi
