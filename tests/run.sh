#!/usr/bin/env bash
# Every test of the project, quick ones first; installs what they need where it is missing.
#
#   FAULT_SEEDS=1000 tests/run.sh    more seeds for the crash tests (200 by default)
#   JUDGE_CASES=1000000 tests/run.sh more fuzzed webhooks against the official library (20,000 by default)
#   API_CASES=500 tests/run.sh       more requests an operation of the REST API (25 by default)
#   PROPTEST_RNG_SEED=7 tests/run.sh other cases of the property tests; one seed always makes the same (2026 by default)
#   PROPTEST_CASES=100000 tests/run.sh
#                                    more of them
#   RECADO_TEST_POSTGRES=postgres://user@host tests/run.sh
#                                    a server to make databases on (no path, no parameters), instead of a throwaway one
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL=0
export FAULT_SEEDS="${FAULT_SEEDS:-200}"
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-2026}"
export JUDGE_CASES="${JUDGE_CASES:-20000}"
venv="${CARGO_TARGET_DIR:-$PWD/target}/test-venv"
export RECADO_TEST_PYTHON="$venv/bin/python"

step() { printf '\n--- %s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }
fail() { printf '%s\n' "$@" >&2; exit 1; }

# Debian packages that the tests need and this machine lacks.
missing_packages() {
    has cc || echo gcc libc6-dev
    [ -n "${RECADO_TEST_POSTGRES:-}" ] || tests/it/support/postgres.sh --find >/dev/null 2>&1 || echo postgresql
    has openssl || echo openssl
    has make || echo make
    has nginx || [ -x /usr/sbin/nginx ] || echo nginx
    venv_is_current || python3 -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
}

venv_is_current() { cmp -s tests/judge/requirements.txt "$venv/requirements.txt"; }

install_packages() {
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        if has sudo && sudo -n true 2>/dev/null; then as_root=(sudo); fi
    fi
    if ! has apt-get || { [ "$(id -u)" != 0 ] && [ ${#as_root[@]} = 0 ]; }; then
        fail "The tests need these Debian packages, or what is like them on your system: $*" \
            "Install them, for example with:  sudo apt-get install $*" "then run tests/run.sh again."
    fi
    step "installing $*"
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

make_venv() {
    step "Python with the official twilio library, an SMTP server and a tester of APIs, in $venv"
    python3 -m venv --clear "$venv"
    "$RECADO_TEST_PYTHON" -m pip install --quiet --disable-pip-version-check -r tests/judge/requirements.txt
    # Last, so that a half-made one is made again.
    cp tests/judge/requirements.txt "$venv/requirements.txt"
}

# One cluster for the whole run. It ends with this shell, however that ends; a shell that ends well waits for it.
start_postgres() {
    coproc POSTGRES { exec tests/it/support/postgres.sh; }
    local script=$POSTGRES_PID
    trap "exec ${POSTGRES[1]}>&-; wait $script || true" EXIT
    read -r -t 60 RECADO_TEST_POSTGRES <&"${POSTGRES[0]}" || fail "PostgreSQL did not start; see the lines above."
    export RECADO_TEST_POSTGRES
}

quick_tests() {
    if has cargo-nextest; then
        cargo nextest run --features abort-points --no-tests=pass -E 'not test(/^faults::/)'
        cargo test --doc --features abort-points
    else
        cargo test --features abort-points -- --skip faults::
    fi
}

fault_tests() {
    if has cargo-nextest; then
        cargo nextest run --features abort-points --no-tests=pass -E 'test(/^faults::/)'
    else
        cargo test --features abort-points --test it -- faults::
    fi
}

has cargo || fail "The tests need Rust: install it from https://rustup.rs, then run tests/run.sh again."
mapfile -t packages < <(missing_packages | tr ' ' '\n')
[ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"
venv_is_current || make_venv
[ -n "${RECADO_TEST_POSTGRES:-}" ] || start_postgres

step "quick tests"
quick_tests
step "fault tests, $FAULT_SEEDS seeds"
fault_tests
step "judges: the official twilio library"
"$RECADO_TEST_PYTHON" tests/judge/signatures.py

step "all tests passed"
