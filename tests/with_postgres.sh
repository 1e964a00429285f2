#!/usr/bin/env bash
# Runs a command beside a PostgreSQL server of its own, in a temporary folder, on a free port:
#
#     tests/with_postgres.sh python -m pytest tests/rating
#
# The command finds it in SELARAS_TEST_POSTGRES. initdb and pg_ctl come from PATH or from the
# system's packages. PostgreSQL refuses to run as root: root hands it to the user nobody.
set -euo pipefail

bin=$(dirname "$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb 2>/dev/null | sort -V | tail -1 || true)")
if [ ! -x "$bin/initdb" ]; then
    echo "no PostgreSQL: install it (apt-get install postgresql), or put initdb into PATH" >&2
    exit 2
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/selaras-postgres.XXXXXX")
as=()
if [ "$(id -u)" = 0 ]; then
    as=(setpriv --reuid nobody --regid "$(id -gn nobody)" --clear-groups)
    chown nobody "$folder"
    chmod 755 "$folder"
fi
stop() {
    (cd / && ${as[@]+"${as[@]}"} "$bin/pg_ctl" -D "$folder/data" -m immediate -w stop >/dev/null 2>&1) || true
    rm -rf "$folder"
}
trap stop EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cd_and() { (cd / && ${as[@]+"${as[@]}"} "$@"); }
cd_and "$bin/initdb" -D "$folder/data" -U selaras --auth=trust --encoding=UTF8 --locale=C >"$folder/log" 2>&1 \
    || { cat "$folder/log" >&2; exit 1; }
cd_and "$bin/pg_ctl" -D "$folder/data" -w -t 60 -l "$folder/data/server.log" \
    -o "-h 127.0.0.1 -p $port -k $folder/data -c max_connections=200" start >/dev/null

export SELARAS_TEST_POSTGRES="postgresql://selaras@127.0.0.1:$port/postgres"
"$@"
