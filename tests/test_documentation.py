"""The documentation says what is there: every link, picture, setting, command and test that it names.

Rendering every page here is its build: whoever reads it does so on the code host, or as the text that it is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import os
import re
import shlex
import subprocess
import zipfile
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class
from django.test import Client as Browser
from django.utils import timezone
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pytest_django import Settings

from agreements.models import Contact, ServiceAgreement, Severity
from config.models import User
from incidents import lifecycle
from tests import cast
from tests.test_languages import texts

ROOT = Path(__file__).resolve().parents[1]
#: What a checkout consists of, without what its tools put beside it.
FOLDERS = ("agreements", "config", "deploy", "docs", "incidents", "reviews", "templates", "tests", ".ci")

_PARSER = MarkdownIt("commonmark").enable("table")


def _files() -> list[Path]:
    nested = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    return sorted(path for path in [*ROOT.iterdir(), *nested] if path.is_file())


PAGES = [path for path in _files() if path.suffix == ".md"]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


# ── a page, read as its readers' programs read it ───────────────────────────────────────────────────────────────────


class Link(NamedTuple):
    to: str
    text: str


@cache
def tokens(page: Path) -> list[Token]:
    return _PARSER.parse(page.read_text())


def inline(page: Path) -> Iterator[Token]:
    """What stands within lines: text, links, code."""
    return (child for token in tokens(page) for child in token.children or ())


def headings(page: Path) -> list[tuple[int, str]]:
    """The level and the text of each."""
    return [
        (int(token.tag[1:]), _said(after)) for token, after in pairwise(tokens(page)) if token.type == "heading_open"
    ]


def _said(token: Token) -> str:
    return "".join(child.content for child in token.children or ())


@cache
def anchors(page: Path) -> set[str]:
    """The names of its headings in addresses, as code hosts make them."""
    found: set[str] = set()
    for _level, text in headings(page):
        name = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        found.add(next(name for name in (name, *(f"{name}-{n}" for n in range(1, 9))) if name not in found))
    return found


def links(page: Path) -> Iterator[Link]:
    to, text = "", ""
    for token in inline(page):
        if token.type == "link_open":
            to, text = str(token.attrs["href"]), ""
        elif token.type == "link_close":
            yield Link(to, text)
        else:
            text += token.content


def pictures(page: Path) -> list[Link]:
    return [Link(str(token.attrs["src"]), token.content) for token in inline(page) if token.type == "image"]


def target(page: Path, link: str) -> Path:
    path = unquote(urlsplit(link).path)
    return (page.parent / path).resolve() if path else page


def is_outside(link: str) -> bool:
    return bool(urlsplit(link).scheme)


# ── links, pictures, headings ───────────────────────────────────────────────────────────────────────────────────────


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if is_outside(link.to):
            assert link.to.startswith("https://"), link
            continue
        to = target(page, link.to)
        assert to.is_relative_to(ROOT), f"{link}: out of the repository"
        assert to.exists(), link
        if fragment := urlsplit(link.to).fragment:
            assert to.suffix == ".md", f"{link}: only headings have names"
            assert fragment in anchors(to), f"{link}: no such heading"
    said = [token.content for token in inline(page) if token.type == "text"]
    unread = [text for text in said if re.search(r"\]\(|\]\[", text)]
    assert unread == [], "meant as links, and none for a reader"


@every_page
def test_every_picture_is_there_small_and_told_to_whoever_does_not_see_it(page: Path) -> None:
    for picture in pictures(page):
        file = target(page, picture.to)
        assert file.is_relative_to(ROOT)
        assert file.stat().st_size <= 150 * 1024, f"{picture}: too large"
        assert len(picture.text) > 20, f"{picture}: what does it show?"


def test_every_picture_is_shown_somewhere() -> None:
    shown = {target(page, picture.to) for page in PAGES for picture in pictures(page)}
    there = {path for path in (ROOT / "docs").rglob("*") if path.suffix in (".png", ".webp", ".svg")}
    assert there - shown == set()


@every_page
def test_headings_are_in_order(page: Path) -> None:
    levels = [level for level, _text in headings(page)]
    assert levels[0] == 1
    assert levels.count(1) == 1, "one title"
    skipped = [pair for pair in pairwise(levels) if pair[1] > pair[0] + 1]
    assert skipped == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        to = [target(page, link.to) for link in links(page) if not is_outside(link.to)]
        ahead += [path for path in to if path.suffix == ".md"]
    assert {page for page in PAGES if page.parts[-2] != "bench"} - reached == set()


@every_page
def test_every_test_that_a_page_names_is_in_the_file_that_it_links(page: Path) -> None:
    for link in links(page):
        if re.match(r"test_\w+…?|Test\w+$", link.text) and link.to.endswith(".py"):
            name = re.escape(link.text).replace("…", r"\w*")
            assert re.search(rf"(?:def|class) {name}\b", target(page, link.to).read_text()), link


# ── names of things in the source ───────────────────────────────────────────────────────────────────────────────────


@cache
def source() -> str:
    read = (".py", ".sh", ".yaml", ".yml", ".html", ".conf", ".service", ".toml", "")
    return "\n".join(path.read_text() for path in _files() if path.suffix in read and path != Path(__file__))


@cache
def settings_there_are() -> set[str]:
    """What may be set: the product's, and the variables of its scripts and its containers."""
    texts = [ROOT / ".env.example", ROOT / "compose.yaml", ROOT / ".ci" / "run", ROOT / ".ci" / "dependencies.py"]
    texts += [*(ROOT / "deploy").rglob("*.sh"), *(ROOT / "tests").rglob("*.py")]
    return set(re.findall(r"\b[A-Z][A-Z_]+[A-Z]\b", "\n".join(path.read_text() for path in texts)))


def code(page: Path) -> list[str]:
    return [token.content for token in inline(page) if token.type == "code_inline"]


#: Words of other programs.
FOREIGN = {"REQUESTS_CA_BUNDLE"}


@every_page
def test_every_setting_and_constant_that_a_page_names_is_there(page: Path) -> None:
    blocks = [token.content for token in tokens(page) if token.type == "fence" and token.info == "ini"]
    for span in [*code(page), *"".join(blocks).splitlines()]:
        if assigned := re.match(r"([A-Z][A-Z_]+[A-Z])=", span):
            assert assigned[1].removesuffix("_FILE") in settings_there_are(), span
        for name in re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", span):
            assert re.search(rf"\b{name.removesuffix('_FILE')}\b", source()) or name in FOREIGN, span


@every_page
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    for span in code(page):
        if re.fullmatch(rf"(?:{'|'.join(map(re.escape, FOLDERS))})/[\w./-]+", span):
            assert (ROOT / span).exists() or (ROOT / "config" / span).exists(), span


#: Guides in which **bold** is what stands in the product.
GUIDES = [ROOT / "docs" / "operator.md"]


def bold(page: Path) -> set[str]:
    found, depth = set(), 0
    for token in inline(page):
        depth += token.nesting if token.type in ("strong_open", "strong_close") else 0
        if depth and token.type == "text":
            found |= set(token.content.split(" → "))
    return found - {""}


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.name)
def test_what_is_bold_in_a_guide_stands_in_the_product(page: Path) -> None:
    there = {text.msgid.strip(":").casefold() for text in texts()}
    assert len(bold(page)) > 20
    assert {name for name in bold(page) if name.casefold() not in there} == {"Bold"}


# ── commands ────────────────────────────────────────────────────────────────────────────────────────────────────────

#: What stands before the name of one of the product's own commands.
_MANAGE = re.compile(
    r"(?:\w+=\S* )*(?:sudo |docker compose exec web )?(?:\S*python3? )?"
    r"(?:manage\.py|deploy/manage(?!(?: --owner)? (?:backup|restore)\b)(?: --owner)?)(?: |$)(.*)"
)
#: Of a fenced block says its first line what it is; a block of these is for a shell.
SHELL = "sh"
OTHERS = {"text", "yaml", "sql", "cron", "ini"}


def shell_lines(page: Path) -> Iterator[str]:
    """Each command of the blocks that are for a shell: what is continued in one line, without comments."""
    for token in tokens(page):
        if token.type == "fence" and token.info == SHELL:
            for line in token.content.replace("\\\n", " ").splitlines():
                if words := shlex.split(line, comments=True):
                    yield re.sub(r" +", " ", line[: _end(line, words)]).strip()


def _end(line: str, words: list[str]) -> int:
    """Where its comment begins."""
    ends = (match.start() for match in re.finditer(r"\s+#", line))
    return next((end for end in ends if shlex.split(line[:end]) == words), len(line))


def managed(line: str) -> list[str]:
    """The words after `manage.py`, or none."""
    found = _MANAGE.match(line)
    return shlex.split(found[1].replace("[", "").replace("]", ""), comments=True) if found else []


@every_page
def test_every_block_says_what_it_is_and_is_what_a_shell_reads(page: Path) -> None:
    for token in tokens(page):
        assert token.type != "code_block", f"indented by accident: {token.content}"
        if token.type == "fence":
            assert token.info in {SHELL, *OTHERS}, f"```{token.info} {token.content}"
        if token.type == "fence" and token.info == SHELL:
            read = subprocess.run(["bash", "-n"], input=token.content, text=True, capture_output=True, check=False)
            assert read.returncode == 0, token.content + read.stderr


@every_page
def test_every_command_of_ours_and_its_options_are_there(page: Path) -> None:
    for line in [*shell_lines(page), *code(page)]:
        if not (words := managed(line)):
            continue
        name = words[0]
        rest = [os.devnull if before in ("--anchor", "--log") else word for before, word in pairwise(words)]
        assert name in get_commands(), line
        if rest:
            where = get_commands()[name]
            command = load_command_class(where, name) if isinstance(where, str) else where
            try:
                command.create_parser("manage.py", name).parse_args(rest)
            except CommandError as error:
                is_only_named = line in code(page) and "arguments are required" in str(error)
                assert is_only_named, f"{line}: {error}"  # noqa: PT017 - most are not wrong


#: Commands that another test runs: their beginning, the file, and what shows there that it does.
ELSEWHERE = {
    "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python manage.py demo": (
        "tests/journeys/test_demo.py",
        "manage.py",
    ),
    ".venv/bin/gunicorn --config deploy/gunicorn.py config.wsgi": ("tests/services/processes.py", "gunicorn"),
    ".venv/bin/celery -A config worker": ("tests/services/processes.py", "worker"),
    ".venv/bin/celery -A config beat": ("tests/services/processes.py", "beat"),
    "manage.py outbox run --loop": ("tests/deploy/test_systemd.py", "due-notice-loop"),
    "manage.py check --deploy --fail-level WARNING": ("tests/config/test_installation.py", "--deploy"),
    "manage.py outbox arrived": ("tests/journeys/test_backup.py", '"arrived"'),
    "manage.py audit grants": ("tests/journeys/test_database_role.py", "grants"),
    "promtool test rules deploy/prometheus/alerts_test.yml": ("tests/deploy/test_watching.py", '"test", "rules"'),
    "deploy/backup/backup.sh": ("tests/journeys/test_backup.py", '"backup"'),
    "deploy/backup/restore.sh": ("tests/journeys/test_backup.py", '"restore"'),
}
#: Commands that no test runs: their beginning, and why.
NOT_RUN = {
    "python3 -m venv .venv && .venv/bin/pip install -r requirements-dev.txt": "it is how these tests are begun",
    ".venv/bin/uv pip compile": "asks a package index",
    "set -a; . ./.env; set +a": "reads a file that only its owner has",
    "cd ": "goes elsewhere",
    "cp .env.example .env": "what follows needs containers",
    "chmod 600 .env": "what follows needs containers",
    "docker compose": "needs a container engine",
    "sudo apt-get": "needs root and a package index",
    "sudo adduser": "needs root",
    "sudo cp": "needs root",
    "sudo install": "needs root",
    "sudo python3 -m venv": "needs root",
    "sudo .venv/bin/pip install": "needs root and a package index",
    "sudo .venv/bin/python -m compileall": "needs root",
    "sudo -u postgres": "needs root and a PostgreSQL of the machine",
    "sudoedit": "needs root and somebody who writes",
    "sudo systemctl": "needs root and systemd",
    "sudo deploy/manage --owner backup": "needs root; tests/journeys/test_backup.py runs the script",
    "sudo deploy/manage --owner restore": "needs root; tests/journeys/test_backup.py runs the script",
    "sudo rsync": "needs root",
    "sudo nginx": "needs root; tests/deploy/test_proxy.py has nginx read the file",
    "systemctl": "needs systemd",
    "curl --silent http://127.0.0.1:8000/": "needs the service; tests/deploy/test_systemd.py asks the same page",
    "pg_dump": "tests/journeys/test_backup.py runs the scripts that do it",
    "pg_restore": "tests/journeys/test_backup.py runs the scripts that do it",
    "createdb": "tests/journeys/test_backup.py runs the scripts that do it",
    "psql": "tests/journeys/test_backup.py runs the scripts that do it",
}
#: Cheap, and harmless anywhere: run by a shell, here.
BY_SHELL = ("sha256sum -c SHA256SUMS", 'python3 -c "import secrets;')
#: Commands whose code is their verdict on what they looked at.
JUDGING = ({"doctor"}, {"outbox", "audit"})


def spoken(line: str) -> str:
    """As the tables above have it: one of ours however it is called."""
    return " ".join(["manage.py", *managed(line)]) if managed(line) else line


def kept_by(line: str) -> list[str]:
    """Which entry of the tables accounts for it."""
    names = (*ELSEWHERE, *NOT_RUN)
    return [name for name in names if spoken(line).startswith(name) or line.startswith(name)]


def test_every_command_is_run_here_or_accounted_for() -> None:
    lines = [line for page in PAGES for line in shell_lines(page)]
    assert len(lines) > 60
    unaccounted = [line for line in lines if not kept_by(line) and not managed(line) and not line.startswith(BY_SHELL)]
    assert unaccounted == [], "run it in a test, or say in NOT_RUN why none does"
    used = {name for line in lines for name in kept_by(line)}
    assert {*ELSEWHERE, *NOT_RUN} - used == set(), "of what no page says any more"
    for file, sign in ELSEWHERE.values():
        assert sign in (ROOT / file).read_text(), f"{file} runs it no more"


@pytest.fixture
def house(
    olga: User,
    max_: User,
    ada: User,
    northwind: ServiceAgreement,
    relay: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
) -> Path:
    """A small product at work, in a folder with the files that commands of the pages are given."""
    monkeypatch.chdir(tmp_path)
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STATIC_ROOT.mkdir()
    settings.NOTICE_BODY_DAYS = 730
    for name, value in (("USERNAME", "root"), ("EMAIL", "root@due-notice.example"), ("PASSWORD", cast.PASSWORD)):
        monkeypatch.setenv(f"DJANGO_SUPERUSER_{name}", value)
    Contact.objects.create(pk=17, client=northwind.client, name="Eve Adams", address="eve@northwind.example")
    incident = lifecycle.declare(
        by=olga,
        now=timezone.now(),
        title="Object storage is down",
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=timezone.now() - dt.timedelta(minutes=5),
    )
    lifecycle.notify_client(incident, by=olga, now=timezone.now())
    ours("outbox", "run")
    ours("audit", "seal")
    for name in ("anchors", "due-notice-20261124T020000Z.anchor"):
        (tmp_path / name).write_text(ours("audit", "anchor"))
    (tmp_path / "FILE.zip").write_bytes(whole_file(max_, incident.pk))
    with zipfile.ZipFile(tmp_path / "FILE.zip") as packed:
        packed.extractall(tmp_path)  # ours
        (unpacked,) = {name.partition("/")[0] for name in packed.namelist() if "/" in name} or {"."}
    return tmp_path / unpacked


def whole_file(user: User, incident: int) -> bytes:
    page: Browser = cast.browser_of(user)
    answer = page.get(f"/admin/incidents/incident/{incident}/whole/")
    return b"".join(answer.streaming_content)  # type: ignore[attr-defined]


def ours(*words: str) -> str:
    """Run one of our commands as it stands; what it printed."""
    out = io.StringIO()
    words += ("--noinput",) if words[0] == "createsuperuser" else ()
    verdict = any(set(words) >= judging for judging in JUDGING)
    with contextlib.suppress(CommandError, SystemExit) if verdict else contextlib.nullcontext():
        call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


@pytest.mark.django_db
@pytest.mark.parametrize("page", [page for page in PAGES if any(shell_lines(page))], ids=lambda page: page.name)
def test_the_commands_of_a_page_work_in_their_order(page: Path, house: Path) -> None:
    for line in shell_lines(page):
        if kept_by(line):
            continue
        if line.startswith(BY_SHELL):
            subprocess.run(["bash", "-c", line], cwd=house, check=True, capture_output=True)
            continue
        words = managed(line)
        if words[:2] == ["outbox", "release"]:
            ours("outbox", "hold", "--by=max", "--reason=A backup was restored.")
        ours(*(word.removeprefix("/var/backups/due-notice/") for word in words))  # the house is where its files are
