#!/usr/bin/env bash
# Installs the project where this script is into a virtual environment of its own, which is all that is written. Takes
# the first Python of 3.11 or newer that can make one: $GATE_BASE_PYTHON, python3, or one of the runner's tool cache.
# Needs no make, which images of containers seldom have.
set -euo pipefail

home=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${GATE_VENV:-$home/.venv}
# The caller may run inside an environment of its own, or tell pip where to put things: neither is ours.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX
fits='import sys, venv, ensurepip; raise SystemExit(sys.version_info < (3, 11))'
for python in "${GATE_BASE_PYTHON:-}" python3 python3.13 python3.12 python3.11 \
  "${RUNNER_TOOL_CACHE:-/nowhere}"/Python/3.1[1-9]*/*/bin/python3; do
  if [ -n "$python" ] && command -v "$python" >/dev/null && "$python" -c "$fits" 2>/dev/null; then
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$home/requirements.txt"
    exec "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -e "$home"
  fi
done
echo "found no Python of 3.11 or newer that can make a virtual environment (Debian: python3-venv)" >&2
exit 69
