#!/usr/bin/env bash
# Makes sure of what building and testing need from the system: Go, a C compiler,
# a Python with venv and a shared libpython, curl. As root on Debian or Ubuntu it
# installs what is missing; elsewhere it says what to install.
set -euo pipefail

python=${PYTHON:-python3}
packages=()

need() { # need PACKAGE COMMAND...: installs PACKAGE unless COMMAND succeeds
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || packages+=("$package")
}

go_is_current() {
    local wanted have
    wanted=$(sed -n 's/^go //p' go.mod)
    have=$(go env GOVERSION | sed 's/^go//; s/ .*//')
    [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1)" = "$wanted" ]
}

# The Python that will be embedded must have its library as a file of its own.
has_library() {
    "$python" -c '
import glob, os, sys, sysconfig
get = sysconfig.get_config_var
names = [n for n in (get("INSTSONAME"), get("LDLIBRARY")) if n and ".so" in n]
folders = [get("LIBDIR"), os.path.join(get("LIBDIR"), get("MULTIARCH") or "")]
sys.exit(not any(os.path.exists(os.path.join(f, n)) for f in folders for n in names))'
}

if ! command -v go >/dev/null; then
    echo "prepare: Go is not installed, or not on PATH: see https://go.dev/dl" >&2
    exit 1
fi
if ! go_is_current; then
    echo "prepare: $(go env GOVERSION) is too old: go.mod asks for $(sed -n 's/^go //p' go.mod) or newer" >&2
    exit 1
fi
if ! command -v "$python" >/dev/null; then
    echo "prepare: $python is not there: name a Python from 3.10 on, as in make PYTHON=python3.12" >&2
    exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
need gcc command -v gcc
need libc6-dev test -e /usr/include/stdio.h
need "python$version-venv" "$python" -c 'import venv, ensurepip'
need "libpython$version" has_library
need curl command -v curl
if [ "${1:-}" = test ]; then
    need nginx-light test -x /usr/sbin/nginx
    need openssl command -v openssl
    need python3-dbg test -x /usr/bin/python3-dbg # counts references
fi

if [ ${#packages[@]} -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "prepare: missing: ${packages[*]} (Debian's names). Install them, on Debian or Ubuntu with:" >&2
    echo "    sudo apt-get install ${packages[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
has_library || {
    echo "prepare: $python still has no shared library: take Debian's own, as in make PYTHON=/usr/bin/python3" >&2
    exit 1
}
