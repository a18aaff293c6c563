#!/usr/bin/env bash
# Copies the database into FOLDER as it is at one instant, while everything goes on, and checks that it can be read.
#
#   deploy/backup/backup.sh FOLDER
#
# Makes due-notice-<instant>.dump (.sqlite3), and beside it .sha256 and .anchor. Overwrites nothing. Keeps the newest
# BACKUP_KEEP (30) of that folder. docs/backup.md says what else has to be kept.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

[[ $# == 1 && -d $1 ]] || die "Say into which folder, one that is there: $0 /var/backups/due-notice"
folder=$(cd "$1" && pwd)
keep=${BACKUP_KEEP:-30}
[[ $keep =~ ^[1-9][0-9]*$ ]] || die "BACKUP_KEEP=$keep is not a number of backups from 1 on."
umask 077 # it holds the addresses of clients and the digests of passwords
use_database

# Of the database's clock, as everything in it. Whatever was sent later is not known to this backup.
case $engine in
postgresql)
    need pg_dump pg_restore psql
    at=$(psql --no-psqlrc --quiet --tuples-only --no-align \
        --command "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYYMMDD\"T\"HH24MISS\"Z\"')")
    ending=dump
    ;;
sqlite)
    [[ -f $name ]] || die "There is no database at $name."
    at=$(date -u +%Y%m%dT%H%M%SZ)
    ending=sqlite3
    ;;
esac
file=$folder/due-notice-$at.$ending
part=$file.part
[[ ! -e $file && ! -e $part ]] || die "$file is there already. Nothing was done."
trap 'rm -f "$part" "$part-journal"' EXIT

# Before the copy, so that its seal is in it. A backup without one is better than none.
anchor=$(manage audit seal >/dev/null && manage audit anchor) || say "There is no anchor with this backup." >&2

case $engine in
postgresql)
    pg_dump --format=custom --file="$part"
    pg_restore --file=/dev/null "$part" # reads it to its end
    ;;
sqlite)
    "$python" - "$name" "$part" <<'PYTHON'
import sqlite3, sys
here, there = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True), sqlite3.connect(sys.argv[2])
here.backup(there)
there.execute("PRAGMA journal_mode=DELETE")  # one file, with no others beside it
[(verdict,)] = there.execute("PRAGMA integrity_check(1)").fetchall()
sys.exit(None if verdict == "ok" else f"The copy is damaged: {verdict}")
PYTHON
    ;;
esac
[[ -z $anchor ]] || printf '%s\n' "$anchor" >"${file%."$ending"}.anchor"
sync "$part"
mv -n "$part" "$file"
(cd "$folder" && sha256sum "${file##*/}" >"$file.sha256")
say "$file"

# Only now, with a newer one that can be read, the oldest go. Their names sort by their instants.
mapfile -t there < <(find "$folder" -maxdepth 1 -type f -name "due-notice-*Z.$ending" | sort)
for old in "${there[@]::$((${#there[@]} > keep ? ${#there[@]} - keep : 0))}"; do
    rm -f "$old" "$old.sha256" "${old%."$ending"}.anchor"
done
