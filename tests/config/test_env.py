"""Settings that cannot be used stop the start with a sentence; secrets stay out of what is printed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env

ROOT = Path(__file__).resolve().parents[2]


def test_an_unset_variable_without_a_default_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SECRET_KEY", raising=False)
    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY is not set"):
        env.text("SECRET_KEY")


@pytest.mark.parametrize(("written", "meant"), [("1", True), ("Yes", True), ("off", False), ("", False)])
def test_a_flag_is_yes_or_no(monkeypatch: pytest.MonkeyPatch, written: str, meant: bool) -> None:
    monkeypatch.setenv("DEBUG", written)
    assert env.flag("DEBUG") is meant


@pytest.mark.parametrize(
    ("name", "written"),
    [("FLAG", "maybe"), ("NUMBER", "ten"), ("NUMBER", "0"), ("NUMBER", "-1")],
)
def test_what_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, written: str) -> None:
    monkeypatch.setenv(name, written)
    with pytest.raises(ImproperlyConfigured, match=name):
        env.flag(name) if name == "FLAG" else env.whole_number(name, 5)


@pytest.mark.parametrize(("written", "days"), [("", 0), ("0", 0), ("730", 730)])
def test_days_for_which_something_is_kept_are_a_number_or_none_for_ever(
    monkeypatch: pytest.MonkeyPatch, written: str, days: int
) -> None:
    monkeypatch.setenv("NOTICE_BODY_DAYS", written)
    assert env.days_kept("NOTICE_BODY_DAYS") == days


@pytest.mark.parametrize("written", ["-1", "2 years", "1.5", "36501", "9" * 30, "٣"])
def test_days_that_are_none_are_refused(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("NOTICE_BODY_DAYS", written)
    with pytest.raises(ImproperlyConfigured, match=r"NOTICE_BODY_DAYS.*is not a number of days from 1 to 36500"):
        env.days_kept("NOTICE_BODY_DAYS")


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://mail.example", ("mail.example", 25, "none", "", "")),
        ("smtp+starttls://u%40x:p%3Aw@mail.example", ("mail.example", 587, "starttls", "u@x", "p:w")),
        ("smtps://u:p@mail.example:2465", ("mail.example", 2465, "tls", "u", "p")),
    ],
)
def test_a_mail_relay_is_one_url(monkeypatch: pytest.MonkeyPatch, url: str, relay: tuple[object, ...]) -> None:
    monkeypatch.setenv("EMAIL_URL", url)
    assert env.mail_relay("EMAIL_URL") == env.MailRelay(*relay)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["mail.example", "http://mail.example", "smtp://", "smtp://mail.example:99999"])
def test_a_mail_relay_that_cannot_be_read_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("EMAIL_URL", url)
    with pytest.raises(ImproperlyConfigured, match="EMAIL_URL"):
        env.mail_relay("EMAIL_URL")


def test_the_relays_password_is_never_shown() -> None:
    assert "hunter2" not in repr(env.MailRelay("mail.example", 25, "none", "user", "hunter2"))


@pytest.mark.parametrize("url", ["mysql://u:p@db/x", "nonsense"])
def test_a_database_we_do_not_know_is_refused(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        env.database("DATABASE_URL", "")


# ── secrets in files ────────────────────────────────────────────────────────────────────────────────────────────────


def test_any_variable_may_be_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("smtps://u:p%20w@mail.example\n")
    monkeypatch.setenv("EMAIL_URL", "")  # as a container has it that passes on what is not set
    monkeypatch.setenv("EMAIL_URL_FILE", str(tmp_path / "url"))
    assert env.mail_relay("EMAIL_URL") == env.MailRelay("mail.example", 465, "tls", "u", "p w")


def test_a_variable_and_its_file_are_not_both_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEAL_KEY", "hunter2")
    monkeypatch.setenv("SEAL_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ImproperlyConfigured, match="SEAL_KEY and SEAL_KEY_FILE are both set") as refused:
        env.key("SEAL_KEY")
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [(None, "cannot be read: No such file"), (b"\xff\xfe", "cannot be read: it is no text"), (b" \n", "is empty")],
)
def test_a_file_that_holds_no_secret_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, why: str
) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("SEAL_KEY_FILE", str(file))
    monkeypatch.delenv("SEAL_KEY", raising=False)
    with pytest.raises(ImproperlyConfigured, match=rf"SEAL_KEY_FILE names .*key, which {why}"):
        env.key("SEAL_KEY", "x" * 50)


def test_a_folder_that_cannot_be_made_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VAR_DIR", str(tmp_path / "file" / "var"))
    with pytest.raises(ImproperlyConfigured, match=r"VAR_DIR is .*, which cannot be made: Not a directory"):
        env.directory("VAR_DIR", tmp_path)


def test_one_word_of_a_few_is_taken_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_LEVEL", "debug")
    assert env.one_of("LOG_LEVEL", "INFO", "DEBUG", "INFO") == "DEBUG"
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(ImproperlyConfigured, match="LOG_LEVEL='LOUD' is none of DEBUG, INFO"):
        env.one_of("LOG_LEVEL", "INFO", "DEBUG", "INFO")


def start(**variables: str) -> subprocess.CompletedProcess[str]:
    script = "import config.settings as s, zoneinfo; print(s.DEBUG, s.ALLOWED_HOSTS, zoneinfo.TZPATH)"
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_secret_or_a_relay_it_does_not_start(tmp_path: Path) -> None:
    assert "SECRET_KEY is not set" in start(VAR_DIR=str(tmp_path)).stderr
    assert "SEAL_KEY is not set" in start(VAR_DIR=str(tmp_path), SECRET_KEY="x" * 50).stderr
    assert "EMAIL_URL is not set" in start(VAR_DIR=str(tmp_path), SECRET_KEY="x" * 50, SEAL_KEY="y" * 50).stderr


def test_a_short_key_for_the_seals_is_refused_and_not_shown(tmp_path: Path) -> None:
    refused = start(VAR_DIR=str(tmp_path), SECRET_KEY="x" * 50, SEAL_KEY="hunter2" * 4, EMAIL_URL="smtp://mail.example")
    assert "SEAL_KEY is too short" in refused.stderr
    assert "hunter2" not in refused.stderr


def test_the_defaults_are_safe_and_the_zone_rules_are_our_own(tmp_path: Path) -> None:
    needed = {"SECRET_KEY": "x" * 50, "SEAL_KEY": "y" * 50, "EMAIL_URL": "smtp://mail.example"}
    started = start(VAR_DIR=str(tmp_path), **needed)
    assert started.stdout.strip() == "False ['127.0.0.1', 'localhost', '[::1]'] ()"


def test_the_demos_secrets_are_kept_and_readable_by_nobody_else(tmp_path: Path) -> None:
    assert start(VAR_DIR=str(tmp_path), DEMO="1").returncode == 0
    for name in ("secret_key", "seal_key"):
        kept = (tmp_path / name).read_text()
        start(VAR_DIR=str(tmp_path), DEMO="1")
        assert (tmp_path / name).read_text() == kept
        assert (tmp_path / name).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "written",
    ["notices@due-notice.example", "Due Notice <n@due-notice.example>", '"Notices, Due" <n@due-notice.example>'],
)
def test_a_sender_is_one_address_with_or_without_a_name(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("NOTICE_FROM", written)
    assert env.mailbox("NOTICE_FROM", "") == written


@pytest.mark.parametrize(
    "written",
    ["Due Notice", "X\r\nBcc: e@x.example <n@x.example>", "n@bücher.example", "Notices, Due <n@x.example>", "a@b@c"],
)
def test_a_sender_that_would_spoil_every_mail_stops_the_start(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("NOTICE_FROM", written)
    with pytest.raises(ImproperlyConfigured, match="NOTICE_FROM"):
        env.mailbox("NOTICE_FROM", "")
