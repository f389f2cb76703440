#!/usr/bin/env bash
# A throwaway PostgreSQL cluster for tests. It prints its URL (without a database name) on a line when it is ready, lives
# until its standard input closes, and leaves nothing behind: who holds the pipe owns the cluster, however that one ends.
#
# A line `crash` on standard input stops the server as a power cut would and answers `crashed`; a line `start` starts it
# again on the same data and answers with the URL.
#
#   postgres.sh          run a cluster
#   postgres.sh --find   print the folder with PostgreSQL's binaries, or fail
set -euo pipefail

# PostgreSQL's binaries: Debian keeps them out of PATH, one folder for each version; the newest wins.
find_binaries() {
    local found
    found=$(ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)
    [ -n "$found" ] || found=$(command -v initdb) || return 1
    dirname "$(readlink -f "$found")"
}

bin=$(find_binaries) || { echo "PostgreSQL's initdb was not found: install the package postgresql." >&2; exit 1; }
if [ "${1:-}" = --find ]; then echo "$bin"; exit; fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/recado-pg.XXXXXX")
url="postgres://postgres@${folder//\//%2F}"
server=

# PostgreSQL refuses to run as root. SIGQUIT to it, if this script is killed, is its immediate shutdown.
as_user=(setpriv --pdeathsig=QUIT)
if [ "$(id -u)" = 0 ]; then
    user=$(id -un postgres 2>/dev/null || echo nobody)
    chown "$user" "$folder"
    as_user+=(--reuid="$user" --regid="$(id -g "$user")" --clear-groups)
fi

start() {
    # No port to collide on: a socket in the folder is the only way in.
    "${as_user[@]}" "$bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c max_connections=200 \
        -c fsync=off -c full_page_writes=off >>"$folder/log" 2>&1 </dev/null &
    server=$!
    for _ in {1..300}; do
        if "$bin/pg_isready" -q -h "$folder" -p 5432; then echo "$url"; return; fi
        kill -0 "$server" 2>/dev/null || break
        sleep 0.1
    done
    echo "PostgreSQL did not start:" >&2
    cat "$folder/log" >&2
    exit 1
}

crash() {
    [ -z "$server" ] || kill -QUIT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    server=
}

trap 'crash; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM HUP

cd "$folder"
"${as_user[@]}" "$bin/initdb" -D "$folder/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
    --no-sync >"$folder/initdb.log" 2>&1 </dev/null || { cat "$folder/initdb.log" >&2; exit 1; }
start
while read -r command; do
    case "$command" in
    crash) crash; echo crashed ;;
    start) start ;;
    *) echo "unknown command: $command" >&2; exit 1 ;;
    esac
done
