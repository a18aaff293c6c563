# What backup.sh and restore.sh share. The product's variables are those of .env: set -a; . ./.env; set +a

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=${PYTHON:-$root/.venv/bin/python}

say() { printf '%s\n' "$*"; }
die() {
    printf '%s\n' "$*" >&2
    exit 1
}

manage() { "$python" "$root/manage.py" "$@"; }

# Sets engine, name, DATABASE_URL and the variables by which PostgreSQL's programs find the server.
use_database() {
    local told
    told=$("$python" "$root/deploy/backup/database.py" "$@") || die "Nothing was done."
    unset DATABASE_URL_FILE
    eval "$told"
}

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || die "$program is not on this machine. Nothing was done."
    done
}
