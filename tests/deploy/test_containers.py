"""The containers run what the units run, with variables that the settings read, and hold nothing of ours."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from typing import Any

import pytest
import yaml

from tests.deploy.units import INSTALLED, ROOT, command, values

DOCKERFILE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
PRODUCT = ("migrate", "web", "worker", "beat")
VARIABLES = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))


def said(instruction: str) -> list[str]:
    """What the last stage says by an instruction, once for each."""
    return re.findall(rf"^{instruction} +(.*)$", DOCKERFILE.rpartition("\nFROM ")[2], re.MULTILINE)


def in_image(unit: str) -> list[str]:
    """A unit's command, as from the folder in which the image runs."""
    return [word.removeprefix(f"{INSTALLED}/") for word in command(unit)]


def test_the_image_serves_pages_as_the_unit_does_but_to_other_containers() -> None:
    assert said("WORKDIR") == values("due-notice-web.service", "WorkingDirectory") == [INSTALLED]
    [words] = said("CMD")
    served = [word.replace("127.0.0.1", "0.0.0.0") for word in in_image("due-notice-web.service")]  # noqa: S104
    assert json.loads(words) == served
    assert "command" not in COMPOSE["services"]["web"]


@pytest.mark.parametrize("part", ["worker", "beat"])
def test_a_container_runs_what_the_unit_runs(part: str) -> None:
    service, unit = COMPOSE["services"][part], f"due-notice-{part}.service"
    assert service["command"] == in_image(unit)
    assert service["stop_grace_period"] == f"{values(unit, 'TimeoutStopSec')[0]}s"


def test_ports_and_health_checks_agree() -> None:
    [port] = said("EXPOSE")
    assert COMPOSE["services"]["web"]["ports"] == [f"127.0.0.1:{port}:{port}"], "the proxy's machine alone reaches it"
    [check] = said("HEALTHCHECK")
    assert f"http://127.0.0.1:{port}/healthz/live" in check
    disabled = {name for name in PRODUCT if COMPOSE["services"][name].get("healthcheck") == {"disable": True}}
    assert disabled == set(PRODUCT) - {"web"}, "the image's asks for pages"
    assert {name for name in ("postgres", "redis") if "test" in COMPOSE["services"][name]["healthcheck"]} == {
        "postgres",
        "redis",
    }


def test_every_variable_is_one_that_the_settings_read() -> None:
    for name in PRODUCT:
        service = COMPOSE["services"][name]
        assert service["env_file"] == ".env"
        assert set(service["environment"]) <= VARIABLES
        assert service["environment"]["DATABASE_URL"].endswith("@postgres:5432/due_notice")
        assert service["environment"]["VAR_DIR"] == "/var/lib/due-notice"
    image = dict(re.findall(r"(\w+)=(\S+)", " ".join(said("ENV"))))
    assert set(image) - VARIABLES == {"PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert [f"VAR_DIR={image['VAR_DIR']}"] == values("due-notice-web.service", "Environment")
    assert image["STATIC_ROOT"] == COMPOSE["services"]["web"]["environment"]["STATIC_ROOT"]
    assert image["STATIC_ROOT"] in DOCKERFILE.rpartition("\nFROM ")[0], "where the files were collected"


def test_a_container_can_do_little() -> None:
    assert said("USER") == ["due-notice"]
    for name in PRODUCT:
        service = COMPOSE["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["volumes"] == ["var:" + said("VOLUME")[0]], "the one place that it may write to"


def test_tables_are_there_before_anything_asks_for_them() -> None:
    assert COMPOSE["services"]["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in ("web", "worker", "beat"):
        assert COMPOSE["services"][name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
        assert COMPOSE["services"][name]["restart"] == "unless-stopped"


def test_mail_is_caught_only_where_somebody_asks_for_it() -> None:
    assert COMPOSE["services"]["mail"]["profiles"] == ["trial"]
    assert "EMAIL_URL" not in COMPOSE["services"]["web"]["environment"]


@pytest.mark.parametrize(
    "file", [".env", ".env.example", ".git", "var", "tests", ".venv", "config/.env", "deploy/backup"]
)
def test_nothing_of_this_machine_goes_into_the_image(file: str) -> None:
    is_ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():  # the last line that matches decides
        pattern = line.removeprefix("!").replace("**/", "*")
        if not line.startswith("#") and (fnmatch(file, pattern) or file.startswith(f"{pattern}/")):
            is_ignored = not line.startswith("!")
    assert is_ignored


def test_everything_that_runs_goes_into_the_image() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert allowed >= {"agreements", "config", "docs", "incidents", "reviews", "locale", "templates", "manage.py"}
    assert allowed >= {"requirements.txt", "deploy/gunicorn.py"}


def test_no_secret_is_built_in() -> None:
    assert "SECRET_KEY" not in DOCKERFILE
    assert "SEAL_KEY" not in DOCKERFILE
    assert not re.search(r"^(ARG|ADD)\b", DOCKERFILE, re.MULTILINE)
