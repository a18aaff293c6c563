"""All settings, read from environment variables; `.env.example` lists them with what each does."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from celery.schedules import crontab

from config import content_policy, env, installation, logs, zones

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = env.directory("VAR_DIR", BASE_DIR / "var")

# ── who may reach it ────────────────────────────────────────────────────────────────────────────────────────────────
DEMO = env.flag("DEMO")
DEBUG = env.flag("DEBUG")


def _demo_secret(name: str = "secret_key") -> str:
    """A secret of this folder's own, kept so that people stay signed in when the demo is started again."""
    path = VAR_DIR / name
    if not path.exists():
        path.write_text(secrets.token_urlsafe(50))
        path.chmod(0o600)
    return path.read_text()


SECRET_KEY = env.key("SECRET_KEY", _demo_secret() if DEMO else None, least=50)
# Links in mails to clients work for months, so a key that was changed has to be kept here as long.
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")
# Signs the seals of the audit trail. Whoever has it and the database can bend the trail unseen.
SEAL_KEY = env.key("SEAL_KEY", _demo_secret("seal_key") if DEMO else None)
SEAL_KEY_FALLBACKS = env.words("SEAL_KEY_FALLBACKS")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
PUBLIC_URL = env.web_address("PUBLIC_URL", "http://127.0.0.1:8000").rstrip("/")
_HTTPS = PUBLIC_URL.startswith("https://")
SECURE_SSL_REDIRECT = _HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if _HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _HTTPS
BEHIND_PROXY = env.whole_number("BEHIND_PROXY", 0, least=0)  # how many proxies of ours each request comes through
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _HTTPS
# Cookies know no ports: a name of our own keeps other tools on the same host from signing people out.
SESSION_COOKIE_NAME = "due_notice_session"
CSRF_COOKIE_NAME = "due_notice_csrf"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"  # the address of a client's page holds their key
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
CONTENT_SECURITY_POLICY = {"DIRECTIVES": content_policy.PAGES}

# ── what it is made of ──────────────────────────────────────────────────────────────────────────────────────────────
INSTALLED_APPS = [
    "allauth",  # with its next three before ours, which takes their admin pages away
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "config.apps.ConfigApp",
    "config.apps.DueNoticeAdmin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_filters",
    "simple_history",
    "agreements",
    "incidents",
    "reviews",
]
MIDDLEWARE = [
    "config.access.AccessMiddleware",  # around everything: one line, one id
    "csp.middleware.CSPMiddleware",  # first, with the next: on every answer, whoever gives it
    "config.content_policy.BrowserMiddleware",
    "config.health.HealthMiddleware",  # next: a probe meets no redirect, no check of hosts, no session
    "config.metrics.MetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "config.browser_reports.ReportMiddleware",  # before sessions: a report is nobody's
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "config.history.AuditMiddleware",
    "config.middleware.ReaderMiddleware",
    "config.unanswered.UnansweredMiddleware",
    "config.sessions.SessionAgeMiddleware",  # after it: a reader is told in their language
    "config.factors.DemandMiddleware",
    "allauth.account.middleware.AccountMiddleware",  # tells the library which request is going on
    "config.audit.refusals.RefusalMiddleware",  # last: next to the view that refuses
]
WEB_CONCURRENCY = env.whole_number("WEB_CONCURRENCY", 1)  # gunicorn itself reads it: how many processes serve pages
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
STATIC_ROOT = env.directory("STATIC_ROOT", VAR_DIR / "static")
STATICFILES_DIRS = [BASE_DIR / "config" / "static", ("guides", BASE_DIR / "docs" / "pictures")]
# Without collected files (the demo, the tests) static files are served from where they lie.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

FILE_UPLOAD_HANDLERS = [
    "config.refusals.SizeHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]

FORM_RENDERER = "config.rendering.Renderer"

# ── data ────────────────────────────────────────────────────────────────────────────────────────────────────────────
DATABASES = {"default": env.database("DATABASE_URL", f"sqlite:///{VAR_DIR / 'db.sqlite3'}")}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SIMPLE_HISTORY_HISTORY_CHANGE_REASON_USE_TEXT_FIELD = True
SIMPLE_HISTORY_REVERT_DISABLED = True
TRAIL_PATIENCE = 8  # seconds for which a reader of the audit trail waits, before PostgreSQL gives up

# Days for which the texts of notices are kept once their incident is closed; then their digests only.
NOTICE_BODY_DAYS = env.days_kept("NOTICE_BODY_DAYS")

# ── people ──────────────────────────────────────────────────────────────────────────────────────────────────────────
AUTH_USER_MODEL = "config.User"
AUTHENTICATION_BACKENDS = ["config.sign_in.RoleBackend"]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"  # of whoever asked to be led elsewhere
SIGN_IN_FAILURES = env.whole_number("SIGN_IN_FAILURES", 5)  # in a row under one name from one address, then a lock
SIGN_IN_LOCK_MINUTES = env.whole_number("SIGN_IN_LOCK_MINUTES", 15)
SESSION_IDLE_MINUTES = env.whole_number("SESSION_IDLE_MINUTES", 480)  # a shift; what a page does by itself is no act
SESSION_HOURS = env.whole_number("SESSION_HOURS", 24)
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
PROOF_MINUTES = env.whole_number("PROOF_MINUTES", 15)  # then who it is is asked again before what weighs most
# Of whom a second factor is demanded after the password: of all, or of some roles. Everybody else may add one.
SECOND_FACTOR = env.some_of("SECOND_FACTOR", ("all", "operator", "manager", "auditor", "administrator"))
# Whether people may sign in by passkeys, which are bound to the host of PUBLIC_URL.
PASSKEYS = env.flag("PASSKEYS", installation.can_have_passkeys(PUBLIC_URL))
MFA_ADAPTER = "config.factors.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_TOTP_TOLERANCE = 1  # steps of 30 seconds, for clocks that are not right
# Single sign-on by OpenID Connect, where an issuer is named (docs/sign-in.md).
OIDC_ISSUER = env.web_address("OIDC_ISSUER")
OIDC_CLIENT_ID = env.text("OIDC_CLIENT_ID", "")
OIDC_CLIENT_SECRET = env.text("OIDC_CLIENT_SECRET", "")
OIDC_LABEL = env.text("OIDC_LABEL", "")  # of the button
OIDC_DOMAINS = [domain.lower() for domain in env.words("OIDC_DOMAINS")]  # of addresses that accounts are linked by
OIDC_GROUPS_CLAIM = env.text("OIDC_GROUPS_CLAIM", "groups")
OIDC_ROLES = env.roles_of_groups("OIDC_ROLES", ("operator", "manager", "auditor", "administrator"))
OIDC_MAKES_ACCOUNTS = env.flag("OIDC_MAKES_ACCOUNTS")  # for whom a group gives a role, and who has none here
OIDC_SECOND_FACTOR = env.flag("OIDC_SECOND_FACTOR")  # whether the provider asks everybody for one, so that we do not
OIDC_ONLY = env.flag("OIDC_ONLY")  # whether passwords and passkeys are for administrators alone
SOCIALACCOUNT_ADAPTER = "config.openid.Adapter"
SOCIALACCOUNT_REQUESTS_TIMEOUT = 5  # seconds for which somebody waits who signs in
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LANGUAGE_CODE = "en"
# Clients read theirs; colleagues what they chose in their settings; whoever has not signed in what the browser prefers.
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("fr", "Français"), ("es", "Español")]
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = "config.formats"
USE_TZ = True
TIME_ZONE = "UTC"
IANA_VERSION = zones.IANA_VERSION  # importing config.zones has already pinned the zone rules to this version

# ── mail ────────────────────────────────────────────────────────────────────────────────────────────────────────────
MAIL_RELAY = env.mail_relay("EMAIL_URL", "smtp://127.0.0.1:1025" if DEMO or DEBUG else None)
NOTICE_FROM = env.mailbox("NOTICE_FROM", "Due Notice <notices@due-notice.example>")
NOTICE_REPLY_TO = env.mailbox("NOTICE_REPLY_TO", NOTICE_FROM)
# Seconds for which a worker may hold a notice: longer than any one mail can take. The transmission gets it anew.
NOTICE_LEASE = env.whole_number("NOTICE_LEASE", 90)
# Connections to the relay that one pass of one process may use at the same time when many mails are due.
NOTICE_SENDERS = env.whole_number("NOTICE_SENDERS", 4)
SMTP_TIMEOUT = env.whole_number("SMTP_TIMEOUT", 15)  # seconds, for every phase of the conversation

# ── who notices silence ─────────────────────────────────────────────────────────────────────────────────────────────
HEARTBEAT_URL = env.web_address("HEARTBEAT_URL")  # a dead man's switch, told each minute in which nothing was wrong
SENTRY_DSN = env.web_address("SENTRY_DSN")  # gets every error, by its kind and place alone
METRICS_TOKEN = env.optional_key("METRICS_TOKEN")  # of whoever may read /metrics; without one nobody may
CANARY_ADDRESS = env.mail_address("CANARY_ADDRESS")  # gets a mail each quarter of an hour, through the whole way

# ── Celery: doorbells only, so nothing is kept, nothing is scheduled ahead, nothing carries data ─────────────────────
REDIS_URL = env.text("REDIS_URL", "")
if REDIS_URL:
    CELERY_BROKER_URL = REDIS_URL
    CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = {
        # kombu looks for unacknowledged messages about every 100 s unless told otherwise.
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
    }
else:
    _broker_dir = env.directory("BROKER_DIR", VAR_DIR / "broker")
    CELERY_BROKER_URL = "filesystem://"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker_dir / "messages"),
        "data_folder_out": str(_broker_dir / "messages"),
        "control_folder": str(_broker_dir / "control"),
        "polling_interval": 0.2,
    }
    for _folder in ("messages", "control"):
        (_broker_dir / _folder).mkdir(exist_ok=True)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_TIME_LIMIT = 300
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "celerybeat-schedule")
CELERY_BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    # A doorbell that nobody answered in time is worth nothing: the next one rings in a second.
    "raise due notices": {"task": "incidents.tasks.raise_due", "schedule": 1.0, "options": {"expires": 5}},
    "deliver notices": {"task": "incidents.tasks.deliver", "schedule": 1.0, "options": {"expires": 5}},
    "keep the trail": {"task": "config.tasks.keep_trail", "schedule": 60.0, "options": {"expires": 60}},
    "follow up reviews": {"task": "reviews.tasks.follow_up", "schedule": 60.0, "options": {"expires": 60}},
    "keep watch": {
        "task": "incidents.tasks.keep_watch",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "give up old texts": {
        "task": "incidents.tasks.give_up_old_texts",
        "schedule": crontab(hour="3", minute="10"),  # in UTC, once a day
        "options": {"expires": 3600},
    },
}

# ── logs ────────────────────────────────────────────────────────────────────────────────────────────────────────────
LOGGING = logs.configuration(
    level=env.one_of("LOG_LEVEL", "INFO", "DEBUG", "INFO", "WARNING", "ERROR"),
    form=env.one_of("LOG_FORMAT", "PLAIN", "PLAIN", "JSON").lower(),
)

installation.refuse_what_is_unsafe(globals())
