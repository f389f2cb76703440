#!/usr/bin/env bash
# Runs every test of the project, the quick ones first. Installs what the tests need and this machine lacks.
#
#   FAULT_SEEDS=1000 tests/run.sh    runs the crash tests with more seeds (200 by default)
#   JUDGE_CASES=1000000 tests/run.sh sends more fuzzed webhooks to the official library (20,000 by default)
#   API_CASES=500 tests/run.sh       sends more requests to each operation of the REST API (25 by default)
#   PROPTEST_RNG_SEED=7 tests/run.sh runs other cases of the property tests; one seed always makes the same (2026 by default)
#   PROPTEST_CASES=100000 tests/run.sh
#                                    runs more of them
#   tests/mutants.sh                 tries the tests themselves: small mistakes that they must find (hours)
#   RECADO_TEST_POSTGRES=postgres://user@host tests/run.sh
#                                    makes its databases on this server (no path, no parameters), not on a throwaway one
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL=0
export FAULT_SEEDS="${FAULT_SEEDS:-200}"
export PROPTEST_RNG_SEED="${PROPTEST_RNG_SEED:-2026}"
export JUDGE_CASES="${JUDGE_CASES:-20000}"
venv="${CARGO_TARGET_DIR:-$PWD/target}/test-venv"
export RECADO_TEST_PYTHON="$venv/bin/python"
# What tests could not do on this machine, for the summary.
RECADO_TESTS_LEFT_OUT="$(mktemp)"
export RECADO_TESTS_LEFT_OUT
trap 'rm -f "$RECADO_TESTS_LEFT_OUT"' EXIT

step() { printf '\n--- %s\n' "$*"; }
has() { command -v "$1" >/dev/null 2>&1; }
fail() { printf '%s\n' "$@" >&2; exit 1; }

# Prints the Debian packages that the tests need and this machine lacks.
missing_packages() {
    has cc || echo gcc libc6-dev
    has make || echo make
    [ -n "${RECADO_TEST_POSTGRES:-}" ] || tests/it/support/postgres.sh --find >/dev/null 2>&1 || echo postgresql
    has curl || echo curl
    has openssl || echo openssl
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
        fail "The tests need these Debian packages, or their equivalents on your system: $*" \
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
    # Copied last, so that an incomplete environment is made again.
    cp tests/judge/requirements.txt "$venv/requirements.txt"
}

# Starts one cluster for the whole run. It stops with this shell, however the shell ends; a normal end waits for it.
start_postgres() {
    coproc POSTGRES { exec tests/it/support/postgres.sh; }
    local script=$POSTGRES_PID
    trap "rm -f '$RECADO_TESTS_LEFT_OUT'; exec ${POSTGRES[1]}>&-; wait $script || true" EXIT
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

if [ -s "$RECADO_TESTS_LEFT_OUT" ]; then
    step "all tests passed, but these parts were left out"
    sort -u "$RECADO_TESTS_LEFT_OUT"
else
    step "all tests passed"
fi
