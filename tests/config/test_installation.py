"""What others can reach does not start unless it is safe, and says why in a sentence, whatever was started."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import installation, start
from config.env import MailRelay

ROOT = Path(__file__).resolve().parents[2]
POSTGRES, SQLITE = "django.db.backends.postgresql", "django.db.backends.sqlite3"


def settings_of(**other: Any) -> dict[str, Any]:
    return {
        "DEBUG": False,
        "DEMO": False,
        "SECRET_KEY": secrets.token_urlsafe(50),
        "SECRET_KEY_FALLBACKS": [],
        "SEAL_KEY": secrets.token_urlsafe(50),
        "ALLOWED_HOSTS": ["notices.northwind.test"],
        "PUBLIC_URL": "https://notices.northwind.test",
        "NOTICE_FROM": "Notices <notices@northwind.test>",
        "MAIL_RELAY": MailRelay("mail.northwind.test", 587, "starttls", "u", "p"),
        "DATABASES": {"default": {"ENGINE": POSTGRES}},
        "REDIS_URL": "redis://127.0.0.1:6379/0",
        "WEB_CONCURRENCY": 4,
        "PASSKEYS": False,
        **dict.fromkeys(("OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"), ""),
        **dict.fromkeys(("OIDC_DOMAINS", "OIDC_ROLES"), ()),
        **dict.fromkeys(("OIDC_MAKES_ACCOUNTS", "OIDC_SECOND_FACTOR", "OIDC_ONLY"), False),
        **other,
    }


def refused(**other: Any) -> str:
    with pytest.raises(ImproperlyConfigured) as error:
        installation.refuse_what_is_unsafe(settings_of(**other))
    return str(error.value)


LOCAL = {"ALLOWED_HOSTS": ["127.0.0.1", "localhost", "[::1]"], "PUBLIC_URL": "http://127.0.0.1:8000"}
ON_SQLITE = {"DATABASES": {"default": {"ENGINE": SQLITE}}}


def test_what_is_safe_starts() -> None:
    installation.refuse_what_is_unsafe(settings_of())
    installation.refuse_what_is_unsafe(settings_of(**ON_SQLITE, REDIS_URL="", WEB_CONCURRENCY=1))
    installation.refuse_what_is_unsafe(settings_of(ALLOWED_HOSTS=[".northwind.test"]))


@pytest.mark.parametrize(
    ("address", "can"),
    [
        ("https://notices.northwind.test", True),
        ("http://localhost:8000", True),
        ("http://notices.northwind.test", False),
        ("https://notices", False),
        ("https://192.0.2.7", False),
        ("https://[2001:db8::1]:8443", False),
        ("http://127.0.0.1:8000", False),
    ],
)
def test_passkeys_are_demanded_only_where_browsers_know_them(address: str, can: bool) -> None:
    assert installation.can_have_passkeys(address) is can
    host = {"PUBLIC_URL": address, "ALLOWED_HOSTS": ["*"], "PASSKEYS": True}
    if can and address.startswith("https"):
        installation.refuse_what_is_unsafe(settings_of(**host))
    if not can:
        assert "PASSKEYS is on, and PUBLIC_URL is not https:// with a host’s name." in refused(**host)


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"DEBUG": True}, "DEBUG is on, and others can reach it (notices.northwind.test). Leave DEBUG out."),
        ({"DEMO": True}, "DEMO is on"),
        ({"SECRET_KEY": "changeme" * 8}, "SECRET_KEY can be guessed."),
        ({"SECRET_KEY": "django-insecure-" + secrets.token_urlsafe(50)}, "SECRET_KEY can be guessed."),
        ({"SEAL_KEY": "x" * 50}, "SEAL_KEY can be guessed."),
        ({"PUBLIC_URL": "http://notices.northwind.test"}, "PUBLIC_URL does not begin with https://."),
        ({"PUBLIC_URL": "https://elsewhere.test"}, "ALLOWED_HOSTS does not name elsewhere.test"),
        ({"NOTICE_FROM": "Due Notice <notices@due-notice.example>"}, "NOTICE_FROM is not set."),
        ({"MAIL_RELAY": MailRelay("mail.example.com", 587, "starttls", "user", "password")}, "EMAIL_URL still names"),
        ({**ON_SQLITE, "REDIS_URL": ""}, "WEB_CONCURRENCY asks for several web processes"),
        ({**ON_SQLITE, "WEB_CONCURRENCY": 1}, "REDIS_URL is for workers on several machines"),
        # One name that others have is enough, in either place.
        ({**LOCAL, "ALLOWED_HOSTS": ["127.0.0.1", "10.0.0.5"]}, "PUBLIC_URL does not begin with https://."),
        ({**LOCAL, "ALLOWED_HOSTS": ["*"], "DEBUG": True}, "DEBUG is on, and others can reach it (*)."),
        ({**LOCAL, "PUBLIC_URL": "https://notices.northwind.test"}, "ALLOWED_HOSTS does not name"),
    ],
)
def test_what_others_reach_is_refused_while_it_is_unsafe(other: dict[str, Any], sentence: str) -> None:
    assert refused(**other).startswith(sentence)


def test_every_reason_is_told_at_once_and_no_secret() -> None:
    told = refused(DEBUG=True, SECRET_KEY="hunter2" * 8, PUBLIC_URL="http://notices.northwind.test")
    assert [word for word in ("DEBUG", "SECRET_KEY", "PUBLIC_URL") if word not in told] == []
    assert "hunter2" not in told


def test_one_key_for_both_purposes_is_refused_everywhere() -> None:
    key = secrets.token_urlsafe(50)
    assert refused(**LOCAL, SECRET_KEY=key, SEAL_KEY=key).startswith("SEAL_KEY is the same as SECRET_KEY.")
    assert refused(**LOCAL, SECRET_KEY_FALLBACKS=[key], SEAL_KEY=key).startswith("SEAL_KEY is the same as SECRET_KEY.")


@pytest.mark.parametrize("other", [{"DEBUG": True}, {"DEMO": True}, {"SECRET_KEY": "x" * 50}, ON_SQLITE])
def test_what_this_machine_alone_reaches_may_be_simpler(other: dict[str, Any]) -> None:
    installation.refuse_what_is_unsafe(settings_of(**LOCAL, **other))


# ── as processes ────────────────────────────────────────────────────────────────────────────────────────────────────


def example(tmp_path: Path) -> dict[str, str]:
    """The variables that .env.example asks for, filled in as an operator would."""
    lines = re.findall(r"^([A-Z_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    found = {name: value.strip('"').replace("example.com", "northwind.test") for name, value in lines}
    empty = {name: secrets.token_urlsafe(50) for name, value in found.items() if not value}
    assert set(empty) == {"SECRET_KEY", "SEAL_KEY"}
    return {"PATH": "/usr/bin:/bin", "VAR_DIR": str(tmp_path / "var"), **found, **empty}


def run(env: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_example_filled_in_passes_the_check_before_it_goes_live(tmp_path: Path) -> None:
    checked = run(example(tmp_path), "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["manage.py", "migrate"], id="a command"),
        pytest.param(["-m", "gunicorn", "config.wsgi", "--bind", "127.0.0.1:0"], id="the web server"),
        pytest.param(["-m", "celery", "-A", "config", "worker"], id="a worker"),
        pytest.param(["-m", "celery", "-A", "config", "beat"], id="the beat"),
    ],
)
def test_whatever_is_started_says_one_sentence_and_ends(tmp_path: Path, command: list[str]) -> None:
    ended = run({**example(tmp_path), "NOTICE_FROM": ""}, *command)
    told = [line for line in ended.stderr.splitlines() if not line.startswith("[")]  # gunicorn's own lines
    assert told == ["Due Notice does not start: NOTICE_FROM is not set. Say from which address of yours notices come."]
    assert ended.returncode == start.WRONG_SETTINGS


def test_the_web_server_starts_with_secrets_in_files(tmp_path: Path) -> None:
    env = example(tmp_path)
    for name in ("SECRET_KEY", "SEAL_KEY", "EMAIL_URL"):
        (tmp_path / name).write_text(env.pop(name) + "\n")
        env[f"{name}_FILE"] = str(tmp_path / name)
    assert run(env, "-c", "import config.wsgi").returncode == 0
