#!/bin/sh
# Make the virtual environment VENV with PYTHON: the Azure CLI and the development tools.
#   scripts/venv.sh PYTHON VENV
set -eu

python=$1
venv=$2
here=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV

fail() {
    echo "error: $1" >&2
    exit 1
}

command -v "$python" >/dev/null 2>&1 || fail "'$python' was not found. Name another one: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    fail "'$python' is older than Python 3.10. Name another one: make PYTHON=/path/to/python3"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    fail "'$python' cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"

echo "Making $venv with the Azure CLI and the development tools (once, about a minute) ..."
rm -rf "$venv"
"$python" -m venv "$venv"
# Compiling all of the Azure CLI takes longer than installing it, and most of it is never imported.
pip() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-compile "$@"
}
pip -r "$here/requirements-dev.txt"
pip --no-deps -r "$here/requirements-azdev.txt"
touch "$venv/.stamp"
