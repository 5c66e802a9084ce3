#!/usr/bin/env bash
# Sets up .venv and runs the program in it: ./run_local.sh [COMMAND ARGUMENTS...], by default the
# demo. ./run_local.sh test [PYTEST ARGUMENTS...] sets up what tests need and runs them.
set -euo pipefail
shopt -s nullglob
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
venv="$root/.venv"

fail() {
    echo "run_local.sh: $*" >&2
    exit 2
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.10}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "needs Python 3.10 to 3.13 as python3 (or named by PYTHON=...); found: $(python3 --version 2>&1 || true)"
}

# Installs once for each state of the requirements: the stamp says for which.
install() { # EXTRA
    local python stamp="$venv/.installed-${1:-run}" state compiler=""
    state=$(cat "$root/setup.py" "$root/requirements.txt" "$root"/transforms/model/native/src/* | cksum)
    # Once there is a compiler, what was installed without one lacks the native engine.
    command -v g++ c++ >/dev/null && compiler=", with a compiler"
    [[ -f "$stamp" && "$(<"$stamp")" == "$state"*"$compiler" ]] && return
    if [[ ! -x "$venv/bin/python" ]]; then
        python=$(find_python)
        "$python" -c 'import venv, ensurepip' 2>/dev/null ||
            fail "$python has no venv module: install it (on Debian and Ubuntu: apt-get install python3-venv)"
        "$python" -m venv "$venv" || fail "cannot make $venv"
    fi
    echo "run_local.sh: installing into $venv (a few minutes the first time)" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        --editable "$root${1:+[$1]}" >&2 || fail "the installation failed, see above"
    echo "$state$compiler" >"$stamp"
}

if [[ "${1:-}" == test ]]; then
    shift
    install test
    cd "$root"
    exec "$venv/bin/python" -m pytest "$@"
fi
install ""
[[ $# -gt 0 ]] || set -- demo
# The script, not `python -m`: that would put the current folder in front of the libraries.
exec "$venv/bin/beam-audio-embeddings" "$@"
