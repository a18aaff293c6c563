"""Zones come from the package that the product ships, and a name that is none is refused in a sentence."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import zoneinfo

import pytest
import tzdata  # type: ignore[import-untyped]
from django.core.exceptions import ValidationError

from config import zones
from config.fields import validate_zone

REFUSED = (
    "",
    "   ",
    "localtime",
    "Factory",
    "posixrules",
    "/etc/localtime",
    "../../etc/passwd",
    "./Europe/Berlin",
    "Europe",
    "Europe/",
    "Europe/Berlin ",
    "europe/berlin",
    "Europe/__init__.py",
    "zone.tab",
    "tzdata.zi",
    "UTC+2",
    "Europe/Berl\0in",
    "x" * 5000,
)


def test_the_rules_are_those_of_the_package_and_its_version_is_known() -> None:
    assert zoneinfo.TZPATH == ()
    assert zones.IANA_VERSION == tzdata.IANA_VERSION


def test_a_zone_that_was_read_from_the_system_before_is_forgotten() -> None:
    program = (
        "import zoneinfo; before = zoneinfo.ZoneInfo('Europe/Berlin'); from config import zones; "
        "assert zones.zone('Europe/Berlin') is not before"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_known_name_gives_its_zone() -> None:
    noon = dt.datetime(2026, 7, 1, 12, tzinfo=zones.zone("Europe/Berlin"))
    assert noon.utcoffset() == dt.timedelta(hours=2)
    assert zones.is_known("Europe/Berlin")


def test_every_listed_name_is_accepted_and_the_list_is_sorted() -> None:
    assert list(zones.names()) == sorted(zones.names())
    assert len(zones.names()) > 400
    assert {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"} <= set(zones.names())
    assert all(zones.zone(name).key == name for name in zones.names())


def said_of(name: str) -> str:
    with pytest.raises(ValidationError) as refusal:
        validate_zone(name)
    (sentence,) = refusal.value.messages
    return sentence


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_is_no_zone_is_refused_in_a_sentence(name: str) -> None:
    assert not zones.is_known(name)
    with pytest.raises(zones.UnknownZone):
        zones.zone(name)
    assert said_of(name).endswith((".", "?"))
    assert len(said_of(name)) < 200


def test_an_empty_name_is_said_to_be_missing() -> None:
    assert said_of("") == "No time zone is given. Choose one, for example Europe/Berlin."


def test_a_slip_of_the_pen_is_answered_with_the_name_that_was_probably_meant() -> None:
    assert said_of("europe/berlin") == "“europe/berlin” is not the name of a time zone. Did you mean Europe/Berlin?"
