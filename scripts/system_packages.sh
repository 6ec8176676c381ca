#!/bin/sh
# Make sure that the browser tests have a browser and its fonts: installed where we may, named where we may not.
set -eu
missing=""
command -v chromium >/dev/null 2>&1 || missing="chromium"
[ -n "$(find /usr/share/fonts -name 'NotoNaskhArabic*' -print -quit 2>/dev/null)" ] || missing="$missing fonts-noto-core"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "installing $missing"
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "These system packages are missing, and only root can install them: $missing" >&2
    echo "On Debian: apt-get install $missing" >&2
    exit 1
fi
