#!/bin/sh
# Makes the cluster at the first start, runs the SQL files on it while only a Unix socket is open, then serves.
set -eu

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  secret="$(mktemp)"
  printf '%s' "$POSTGRES_PASSWORD" >"$secret"
  initdb -D "$PGDATA" -U "${POSTGRES_USER:-postgres}" --auth-local=trust --auth-host=scram-sha-256 \
    --pwfile="$secret" --encoding=UTF8 --locale=C --no-sync --no-instructions --wal-segsize=4 >/dev/null
  rm -f "$secret"
  pg_ctl -D "$PGDATA" -w -s -l /tmp/first-start.log \
    -o "-c listen_addresses='' -c unix_socket_directories=/tmp -c fsync=off" start \
    || { cat /tmp/first-start.log; exit 1; }
  for file in /docker-entrypoint-initdb.d/*.sql; do
    [ -e "$file" ] || continue
    psql -qX -v ON_ERROR_STOP=1 -h /tmp -U "${POSTGRES_USER:-postgres}" -d postgres -f "$file"
  done
  pg_ctl -D "$PGDATA" -w -s -m fast stop
fi
exec "$@" -c unix_socket_directories=''
