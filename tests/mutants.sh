#!/usr/bin/env bash
# Puts each mutant of tests/mutants/ into a copy of the source, runs the tests that must find it, and prints the kill rate. It
# fails below 90 %.
#
#   tests/mutants.sh                     all of them (hours)
#   tests/mutants.sh gate 'START lifts'  those whose name or module contains one of these words
#   tests/mutants.sh --list              names them
#
#   CARGO=…             the cargo to use
#   MUTANTS_FOLDER=…    where the copy is made (default: target/mutants)
#   RECADO_TEST_POSTGRES as in tests/run.sh
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_INCREMENTAL=1
exec python3 tests/mutants/run.py "$@"
