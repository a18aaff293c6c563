#!/usr/bin/env bash
# Puts a backup into the database that DATABASE_URL names, which must not be there yet, with sending held.
#
#   deploy/backup/restore.sh FILE USERNAME      USERNAME is the colleague who decides it, known to the backup
#
# It is restored under a name that no worker knows, brought up to date, held, and only then given its own name: there is no
# moment at which anything could be sent from it. If anything fails, what was restored is thrown away. Overwrites nothing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ $# == 2 && -f $1 ]] || die "Say which backup and who decides it: $0 /var/backups/due-notice/due-notice-….dump max"
file=$(cd "$(dirname "$1")" && pwd)/${1##*/}
by=$2
[[ -f $file.sha256 ]] || die "$file.sha256 is not there, so nothing shows that the backup is whole. Nothing was done."
(cd "$(dirname "$file")" && sha256sum --check --quiet "${file##*/}.sha256") ||
    die "$file is not as it was made. Take another backup. Nothing was done."
umask 077

use_database
wanted=$name
hidden=$wanted.restoring # for SQLite a file beside it, so that it can be given its name at once
use_database --as "$hidden"

sql() { # in another database of that server: one that is worked on by nobody can be given another name
    psql --no-psqlrc --quiet --tuples-only --no-align --set ON_ERROR_STOP=1 \
        --set wanted="$wanted" --set hidden="$hidden" --dbname "${MAINTENANCE_DATABASE:-postgres}"
}

case $engine in
postgresql)
    need psql pg_restore
    there=$(sql <<<"SELECT datname FROM pg_database WHERE datname IN (:'wanted', :'hidden')")
    [[ -z $there ]] || die "The database $there is there already. Name another, or rename or drop it. Nothing was done."
    sql <<<'CREATE DATABASE :"hidden" TEMPLATE template0'
    throw_away() { sql <<<'DROP DATABASE IF EXISTS :"hidden"'; }
    ;;
sqlite)
    for there in "$wanted" "$wanted-wal" "$wanted-shm" "$hidden"; do
        [[ ! -e $there ]] || die "$there is there already. Name another, or move it away. Nothing was done."
    done
    throw_away() { rm -f "$hidden" "$hidden-wal" "$hidden-shm"; }
    ;;
esac
trap throw_away EXIT

say "Restoring ${file##*/} …"
case $engine in
postgresql) pg_restore --exit-on-error --no-owner --no-privileges --dbname="$hidden" "$file" ;;
sqlite) cp "$file" "$hidden" ;;
esac
manage migrate --no-input --verbosity 0 # a backup of an older version; else nothing
# A backup that was taken while sending was held needs no other hold, which the command would refuse.
manage outbox hold --by "$by" --reason "Backup ${file##*/} restored" ||
    manage shell -v0 -c "from incidents.models import Sending; raise SystemExit(not Sending.row().is_held)" ||
    die "Sending could not be held, so nothing was restored."

case $engine in
postgresql) sql <<<'ALTER DATABASE :"hidden" RENAME TO :"wanted"' ;;
sqlite)
    "$python" - "$hidden" <<'PYTHON'
import sqlite3, sys
sqlite3.connect(sys.argv[1]).execute("PRAGMA journal_mode=DELETE")  # all of it in this one file
PYTHON
    ln "$hidden" "$wanted" # which, unlike mv, never takes the place of another
    ;;
esac
trap - EXIT
[[ $engine == postgresql ]] || throw_away

at=$(sed -E 's/.*-([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z\..*/\1-\2-\3T\4:\5:\6Z/' <<<"$file")
anchor=${file%.*}.anchor
say "Restored, and sending is held. Next (docs/backup.md):" \
    "
    manage.py audit grants --role … --apply      on PostgreSQL, if the product works as another role than this
    manage.py audit verify --anchor $anchor
    manage.py outbox run
    manage.py outbox audit --since $at
    manage.py outbox arrived --log FILE --by $by --reason …
    manage.py outbox release --by $by --reason …"
