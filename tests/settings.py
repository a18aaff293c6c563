"""The product's settings with what the tests need; services come from the fixtures."""

from __future__ import annotations

import os
import tempfile
from urllib.parse import urlsplit

os.environ.setdefault("SECRET_KEY", "tests-only-" + "x" * 50)
os.environ.setdefault("SEAL_KEY", "tests-only-" + "y" * 50)
os.environ.setdefault("VAR_DIR", tempfile.mkdtemp(prefix="due-notice-tests-"))
os.environ.setdefault("EMAIL_URL", "smtp://127.0.0.1:1")  # nobody answers there; a test that sends sets its own
os.environ.setdefault("PUBLIC_URL", "http://127.0.0.1:8000")

from config.settings import *  # noqa: F403

NOTICE_SENDERS = 1  # other threads would not see what a test has not committed
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # signing in is not what is tested
if migrated := os.environ.get("MIGRATED_DATABASE_URL"):  # then the tests' database is a copy of that one
    DATABASES["default"]["TEST"] = {"TEMPLATE": urlsplit(migrated).path.lstrip("/")}  # noqa: F405
