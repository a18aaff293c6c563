"""What the doctor looks at on this floor: settings, the database, the machine, the trail, and who may do what."""

from __future__ import annotations

import datetime as dt
import shutil
import sqlite3
import time
import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import redis
from django.conf import settings
from django.core import checks
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config import doctor, health, installation, openid, roles, times, zones
from config.audit import canonical, seals
from config.doctor import Finding, error, ok, warning
from config.models import Event, EventKind, Seal, User

LEAST_POSTGRESQL = 15
LEAST_REDIS = 7
SKEW_NOTICED, SKEW_HARMFUL = 2.0, 30.0  # seconds
ROOM_NOTICED, ROOM_HARMFUL = 1_000_000_000, 200_000_000  # bytes
REDIS_PATIENCE = 3.0  # seconds
ANCHOR_DAYS = 35  # one each month, and a few days


@doctor.register(gettext_lazy("settings"), asks_database=False)
def settings_are_sound(now: dt.datetime) -> Iterator[Finding]:
    """What `check --deploy` says; on a machine that nobody else reaches, what `check` says."""
    reached = installation.is_reached({"ALLOWED_HOSTS": settings.ALLOWED_HOSTS, "PUBLIC_URL": settings.PUBLIC_URL})
    found = checks.run_checks(include_deployment_checks=reached)
    for message in found:
        if message.level >= checks.WARNING:
            says = error if message.level >= checks.ERROR else warning
            yield says(f"{message.msg} ({message.id})", message.hint or _("See the settings."))
    if not reached:
        yield ok(_("They are for this machine alone: nobody else can reach it."))
    elif not found:
        yield ok(_("They are safe for %(address)s.") % {"address": settings.PUBLIC_URL})


# ── the database ────────────────────────────────────────────────────────────────────────────────────────────────────


@doctor.register(gettext_lazy("database"))
def database_is_fit(now: dt.datetime) -> Iterator[Finding]:
    if connection.vendor == "postgresql":
        yield from _postgresql_is_fit()
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA journal_mode")
        mode = cursor.fetchone()[0]
    if mode == "delete":
        yield warning(
            _("SQLite does not keep a write-ahead log, so readers wait for writers."),
            _("Keep the database on a disk of this machine, not on a network."),
        )
    yield ok(_("SQLite %(version)s, for one machine.") % {"version": sqlite3.sqlite_version})


def _postgresql_is_fit() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int, current_setting('server_encoding')")
        version, encoding = cursor.fetchone()
        cursor.execute(
            "SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user), "
            "(SELECT count(*) FROM pg_tables WHERE tableowner = current_user AND schemaname = current_schema())"
        )
        is_superuser, owned = cursor.fetchone()
    yield from about_postgresql(version // 10_000, encoding)
    if is_superuser or owned:
        yield warning(
            _("The product signs in as a role that owns its tables, which can bend the audit trail."),
            _("Make a role that owns none and run `manage.py audit grants --role …` (docs/audit.md)."),
        )


def about_postgresql(version: int, encoding: str) -> Iterator[Finding]:
    said = {"version": version, "least": LEAST_POSTGRESQL, "encoding": encoding}
    if version < LEAST_POSTGRESQL:
        yield error(
            _("PostgreSQL is of version %(version)s, which this was not made for.") % said,
            _("Upgrade it to %(least)s or newer.") % said,
        )
    if encoding != "UTF8":
        yield error(
            _("The database keeps texts as %(encoding)s, which lacks letters.") % said,
            _("Make one with ENCODING 'UTF8' and move the data there."),
        )
    yield ok(_("PostgreSQL %(version)s answers.") % said)


@doctor.register(gettext_lazy("migrations"))
def migrations_are_applied(now: dt.datetime) -> Iterator[Finding]:
    found = health.PROBES["/healthz/ready"]()
    for problem in found:
        yield error(problem.sentence, _("Until then pages and workers of this version fail."))
    if not found:
        yield ok(_("All are applied."))


@doctor.register(gettext_lazy("clock"))
def clocks_agree(now: dt.datetime) -> Iterator[Finding]:
    """The database's clock is the one that counts; a machine that differs misleads whoever reads its logs."""
    if connection.vendor != "postgresql":
        yield ok(_("This machine's is the only one."))
        return
    began = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        answered = cursor.fetchone()[0].timestamp()
    yield from skew(answered - (began + time.time()) / 2)


def skew(seconds: float) -> Iterator[Finding]:
    """By how much the database's clock is ahead of this machine's."""
    said = {"seconds": f"{abs(seconds):.1f}"}
    if abs(seconds) <= SKEW_NOTICED:
        yield ok(_("This machine and the database differ by %(seconds)s s.") % said)
        return
    says = error if abs(seconds) > SKEW_HARMFUL else warning
    yield says(
        _("This machine and the database differ by %(seconds)s s. Deadlines are counted by the database's.") % said,
        _("Let both keep their time by NTP."),
    )


# ── the machine ─────────────────────────────────────────────────────────────────────────────────────────────────────


@doctor.register(gettext_lazy("time zones"), asks_database=False)
def zone_rules_are_ours(now: dt.datetime) -> Iterator[Finding]:
    if zoneinfo.TZPATH:
        yield error(
            _("Time zones are read from the system (%(path)s), whose rules may be old.") % {"path": zoneinfo.TZPATH[0]},
            _("Start it with the commands of the documentation, from an environment of its own."),
        )
    if int(zones.IANA_VERSION[:4]) < now.year - 1:
        yield warning(
            _("The rules are of %(version)s; governments change theirs each year.") % {"version": zones.IANA_VERSION},
            _("Upgrade `tzdata`, then run `manage.py deadlines recheck`."),
        )
    else:
        yield ok(_("The rules are those of %(version)s.") % {"version": zones.IANA_VERSION})


@doctor.register(gettext_lazy("disk"), asks_database=False)
def disk_has_room(now: dt.datetime) -> Iterator[Finding]:
    free = shutil.disk_usage(settings.VAR_DIR).free
    said = {"free": f"{free / 1e9:.1f} GB", "folder": settings.VAR_DIR}
    if free >= ROOM_NOTICED:
        yield ok(_("%(free)s are free where %(folder)s is.") % said)
        return
    says = error if free < ROOM_HARMFUL else warning
    yield says(_("Only %(free)s are free where %(folder)s is.") % said, _("Make room, or give VAR_DIR a larger disk."))


@doctor.register(gettext_lazy("static files"), asks_database=False)
def static_files_are_collected(now: dt.datetime) -> Iterator[Finding]:
    ours = Path(settings.BASE_DIR) / "config" / "static"
    files = [file for file in ours.rglob("*") if file.is_file()]
    stale = [file for file in files if not _is_collected(file, settings.STATIC_ROOT / file.relative_to(ours))]
    if stale:
        yield warning(
            _("Files of the pages are not collected, or are those of another version: %(count)d of %(all)d.")
            % {"count": len(stale), "all": len(files)},
            _("Run `manage.py collectstatic --noinput` and start the web server again."),
        )
    else:
        yield ok(_("They are collected in %(folder)s.") % {"folder": settings.STATIC_ROOT})


def _is_collected(file: Path, copy: Path) -> bool:
    return copy.is_file() and copy.read_bytes() == file.read_bytes()


@doctor.register(gettext_lazy("broker"), reaches_out=True, asks_database=False)
def broker_answers(now: dt.datetime) -> Iterator[Finding]:
    if not settings.REDIS_URL:
        yield ok(_("There is no Redis: doorbells go through files, which serve this machine."))
        return
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=REDIS_PATIENCE, socket_connect_timeout=REDIS_PATIENCE, retry=None
        ) as server:
            told = server.info()
    except (redis.RedisError, OSError, ValueError) as trouble:
        yield error(
            _("Redis does not answer (%(why)s).") % {"why": type(trouble).__name__},
            _("Start it, or correct REDIS_URL. Until then run `manage.py outbox run --loop`, which needs none."),
        )
        return
    said = {"version": told["redis_version"], "least": LEAST_REDIS}
    if int(said["version"].split(".")[0]) < LEAST_REDIS:
        yield warning(
            _("Redis is of version %(version)s, which this was not made for.") % said,
            _("Upgrade it to %(least)s or newer.") % said,
        )
    if told.get("maxmemory") and told.get("maxmemory_policy") != "noeviction":
        yield warning(
            _("Redis may throw doorbells away when its memory is full."), _("Set its maxmemory-policy to noeviction.")
        )
    yield ok(_("Redis %(version)s answers.") % said)


@doctor.register(gettext_lazy("single sign-on"), reaches_out=True, asks_database=False)
def provider_answers(now: dt.datetime) -> Iterator[Finding]:
    if not openid.is_on():
        yield ok(_("It is switched off."))
        return
    try:
        openid.about_provider(anew=True)
    except openid.Unanswered as trouble:
        yield error(
            _("The provider of single sign-on cannot be used: %(why)s.") % {"why": trouble},
            _("Correct OIDC_ISSUER, or see to it that this machine reaches it. Until then only passwords sign in."),
        )
    else:
        yield ok(_("The provider answers: %(issuer)s.") % {"issuer": settings.OIDC_ISSUER})


# ── the trail ───────────────────────────────────────────────────────────────────────────────────────────────────────


@doctor.register(gettext_lazy("seal key"))
def seal_key_opens_the_newest_seal(now: dt.datetime) -> Iterator[Finding]:
    newest = Seal.objects.first()
    if newest is None:
        yield warning(
            _("Nothing of the audit trail is sealed so far."), _("Start the worker and the beat; it takes a minute.")
        )
    elif newest.key not in set(canonical.keys()):
        yield error(
            _("The newest seal was made with a key that this installation does not have."),
            _("Put the former key into SEAL_KEY_FALLBACKS, or back into SEAL_KEY."),
        )
    elif seals.signature(newest) != newest.mac:
        yield error(
            _("The newest seal is not as it was made."),
            _("Run `manage.py audit verify`; docs/audit.md says what each finding means."),
        )
    else:
        yield ok(_("It opens the newest seal, no. %(number)s.") % {"number": newest.number})


@doctor.register(gettext_lazy("anchor"))
def anchor_is_fresh(now: dt.datetime) -> Iterator[Finding]:
    last = Event.objects.filter(kind=EventKind.ANCHOR_TAKEN).first()
    remedy = _("Run `manage.py audit anchor` each month, and keep what it prints where no administrator can change it.")
    if last is None:
        yield warning(_("No anchor of the audit trail was ever taken, so that a cut end would go unseen."), remedy)
    elif now - last.at > dt.timedelta(days=ANCHOR_DAYS):
        yield warning(_("The last anchor was taken %(age)s ago.") % {"age": times.duration(now - last.at)}, remedy)
    else:
        yield ok(_("The last was taken %(age)s ago.") % {"age": times.duration(now - last.at)})


# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@doctor.register(gettext_lazy("people"))
def somebody_is_there(now: dt.datetime) -> Iterator[Finding]:
    active = User.objects.filter(is_active=True, is_staff=True)
    found = list(_missing(active))
    yield from found or [ok(_("Every role that has to be there is: colleagues %(count)d.") % {"count": active.count()})]


def _missing(active: QuerySet[User]) -> Iterator[Finding]:
    if not active.filter(Q(is_superuser=True) | Q(groups__name=roles.ADMINISTRATOR)).exists():
        yield error(
            _("Nobody who can sign in is an administrator."),
            _("Run `manage.py createsuperuser`, then give somebody that role on their page."),
        )
    for role, sentence in (
        (roles.MANAGER, _("Nobody who can sign in is a manager: nobody is told of what went wrong, or decides.")),
        (roles.OPERATOR, _("Nobody who can sign in is an operator: nobody declares or answers an incident.")),
    ):
        if not active.filter(groups__name=role).exists():
            yield warning(sentence, _("Give somebody that role on their page."))
    silent = active.filter(groups__name__in=(roles.MANAGER, roles.OPERATOR), email="").distinct()
    if count := silent.count():
        yield warning(
            _("Operators or managers without a mail address, whom no alarm reaches: %(count)d.") % {"count": count},
            _("Enter one on their page."),
            *silent[: doctor.NAMED + 1],
        )
