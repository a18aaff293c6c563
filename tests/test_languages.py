"""What clients read is whole, correct and safe in every language; the admin follows its reader."""

from __future__ import annotations

import ast
import datetime as dt
import gettext
import html
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings
from django.core.cache import cache
from django.template import Context
from django.template.loader import get_template
from django.templatetags.i18n import BlockTranslateNode, TranslateNode
from django.test import Client as Browser
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import trim_whitespace

from agreements.models import Client, Contact, Obligation, ServiceAgreement, Severity, SpecialDay, StartEvent
from agreements.terms import agreed_terms
from config import times
from config.models import User
from incidents import lifecycle, notices
from incidents.models import Incident, Notice
from incidents.models.notice import NoticeKind, NoticeState
from tests import cast
from tests.cast import at

ROOT = Path(settings.BASE_DIR)
LANGUAGES = ("de", "fr", "es")
CLIENT_KINDS = (NoticeKind.CLIENT_NOTICE, NoticeKind.HOLDING_NOTICE, NoticeKind.UPDATE, NoticeKind.WARNING)

every_language = pytest.mark.parametrize("language", LANGUAGES)
every_kind = pytest.mark.parametrize("kind", CLIENT_KINDS)


# ── the texts of the product, found in the source ───────────────────────────────────────────────────────────────────

#: Folders whose Python speaks to people.
FLOORS = ("agreements", "config", "incidents", "reviews")
#: gettext by the names that we import it under.
SINGULAR = {"_", "_now", "_lazy", "gettext", "gettext_lazy", "gettext_noop"}


class Text(NamedTuple):
    """One text as gettext knows it."""

    msgid: str
    plural: str = ""
    context: str = ""


def texts() -> dict[Text, str]:
    """Every text that is to be translated, and the file that it was first found in."""
    found: dict[Text, str] = {}
    for path, there in (*_texts_in_templates(), *_texts_in_python()):
        for text in there:
            found.setdefault(text, path)
    return found


def _texts_in_templates() -> Iterator[tuple[str, list[Text]]]:
    for path in sorted(ROOT.glob("templates/**/*.*")):
        name = str(path.relative_to(ROOT / "templates"))
        nodes = get_template(name).template.nodelist  # type: ignore[attr-defined]
        single = [_translated(node) for node in nodes.get_nodes_by_type(TranslateNode)]
        blocks = [_block_translated(node) for node in nodes.get_nodes_by_type(BlockTranslateNode)]
        # `_("text")` as the argument of another tag
        said = re.findall(r"""[:=|( ]_\("([^"]+)"\)""", path.read_text())
        yield f"templates/{name}", [*single, *blocks, *map(Text, said)]


def _translated(node: TranslateNode) -> Text:
    context = node.message_context.resolve(Context()) if node.message_context else ""
    # Django doubles the percent signs of this tag's text before it looks it up.
    return Text(str(node.filter_expression.var.literal).replace("%", "%%"), "", str(context))


def _block_translated(node: BlockTranslateNode) -> Text:
    singular, _names = node.render_token_list(node.singular)
    plural = node.render_token_list(node.plural)[0] if node.plural else ""
    context = str(node.message_context.resolve(Context())) if node.message_context else ""
    return Text(_trimmed(node, singular), _trimmed(node, plural), context)


def _trimmed(node: BlockTranslateNode, text: str) -> str:
    return trim_whitespace(text) if node.trimmed else text


def _texts_in_python() -> Iterator[tuple[str, list[Text]]]:
    for floor in FLOORS:
        for path in sorted((ROOT / floor).rglob("*.py")):
            if "migrations" not in path.parts:
                calls = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
                there = [text for call in calls if (text := _called(call)) is not None]
                yield str(path.relative_to(ROOT)), there


def _called(call: ast.Call) -> Text | None:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    said = [word.value for word in call.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    if name in SINGULAR and len(said) == 1:
        return Text(said[0])
    if name.removesuffix("_lazy") == "ngettext":
        return Text(said[0], said[1])
    if name.removesuffix("_lazy") == "pgettext":
        return Text(said[1], "", said[0])
    return None


# ── the catalogues ──────────────────────────────────────────────────────────────────────────────────────────────────


class Entry(NamedTuple):
    text: Text
    translations: tuple[str, ...]
    is_fuzzy: bool


_LINE = re.compile(r'(?:(msgctxt|msgid_plural|msgid|msgstr(?:\[\d\])?) )?(".*")')


def catalogue(language: str, suffix: str = "po") -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / f"django.{suffix}"


def entries(language: str) -> list[Entry]:
    """The entries of the .po file, without its header."""
    found = []
    for block in catalogue(language).read_text().split("\n\n"):
        fields: dict[str, str] = {}
        keyword = ""
        for line in block.strip().splitlines():
            if line.startswith("#"):
                continue
            match = _LINE.fullmatch(line)
            assert match, f"{language}: cannot read {line!r}"
            keyword = match[1] or keyword
            fields[keyword] = fields.get(keyword, "") + ast.literal_eval(match[2])
        if fields.get("msgid"):
            text = Text(fields["msgid"], fields.get("msgid_plural", ""), fields.get("msgctxt", ""))
            said = tuple(value for name, value in fields.items() if name.startswith("msgstr"))
            found.append(Entry(text, said, "\n#, fuzzy" in f"\n{block}"))
    return found


class TestCatalogues:
    @every_language
    def test_they_hold_every_text_and_nothing_else(self, language: str) -> None:
        there, said = [entry.text for entry in entries(language)], texts()
        assert sorted(said.keys() - set(there)) == [], "texts without an entry"
        assert sorted(set(there) - said.keys()) == [], "entries for what nothing says any more"
        assert len(there) == len(set(there)), "an entry stands there twice"

    @every_language
    def test_every_entry_is_translated_and_somebody_stands_by_it(self, language: str) -> None:
        for entry in entries(language):
            assert not entry.is_fuzzy, entry.text
            assert len(entry.translations) == (2 if entry.text.plural else 1), entry.text
            assert all(translation.strip() for translation in entry.translations), entry.text

    @every_language
    def test_placeholders_survive_and_no_markup_comes_in(self, language: str) -> None:
        for entry in entries(language):
            originals = (entry.text.msgid, entry.text.plural or entry.text.msgid)
            for said, original in zip(entry.translations, originals, strict=False):
                assert _placeholders(said) == _placeholders(original), entry.text
                assert _markup(said) == _markup(original), f"{said!r}: texts are put into HTML as they are"

    @every_language
    def test_the_compiled_file_says_what_the_readable_one_says(self, language: str) -> None:
        path = catalogue(language, "mo")
        with path.open("rb") as file:
            compiled = gettext.GNUTranslations(file)
        for (msgid, plural, context), said, _is_fuzzy in entries(language):
            if plural:
                assert tuple(compiled.ngettext(msgid, plural, n) for n in (1, 2)) == said
            elif context:
                assert (compiled.pgettext(context, msgid),) == said
            else:
                assert (compiled.gettext(msgid),) == said
        (count,) = struct.unpack_from("<I", path.read_bytes(), 8)
        assert count == len(entries(language)) + 1, "more or less than the entries and the header: compile it again"

    @every_language
    def test_the_columns_of_a_mails_text_have_room(self, language: str) -> None:
        said = {entry.text: entry.translations[0] for entry in entries(language)}
        width = {text.msgid: int(words) for text, words in said.items() if text.msgid.isdigit()}
        facts = [said[Text(fact)] for fact in ("Incident", "Severity", "Detected", "Affects", "Status")]
        owed = [said[Text(str(label))] for label in notices.OWED_TO_CLIENT.values()]
        assert max(map(len, facts)) + 2 <= width["11"]
        assert max(map(len, owed)) <= width["17"]


def _markup(text: str) -> list[str]:
    """What means something in HTML or in an attribute."""
    return sorted(re.findall(r'<[^>]*>|[<>&"\n]', text))


def _placeholders(text: str) -> list[str]:
    return sorted(re.findall(r"%(?:\(\w+\))?.", text))


# ── what the mails say ──────────────────────────────────────────────────────────────────────────────────────────────

TITLE = "Xyzzy Qux"
#: What people typed, and what is the same everywhere: no words of ours.
TYPED = set(f"northwind operations object storage {TITLE} america new york est utc inc".casefold().split())
#: Words that English shares with the language.
SHARED = {
    "de": {"an", "in", "link", "stand", "status", "was"},
    "fr": {"client", "contact", "incident", "message", "minutes", "notification", "report", "services"},
    "es": {"a"},
}


@pytest.fixture
def incident(olga: User, northwind: ServiceAgreement) -> Incident:
    """Northwind's mails about it have a line of every form that an agreement's terms can take."""
    first = cast.commit(northwind, Obligation.ACKNOWLEDGE, 15, "minutes")
    cast.commit(northwind, Obligation.UPDATE, 2, "hours", is_recurring=True)
    cast.commit(northwind, Obligation.UPDATE, 1, "business_days", is_recurring=True, label="a")
    cast.commit(
        northwind, Obligation.MITIGATE, 2, "business_days", start_event=StartEvent.AWARE, roll="next_business_day"
    )
    cast.commit(northwind, Obligation.REPORT, 3, "months", start_event=StartEvent.COMMITMENT, follows=first)
    limit = {"cap_amount": 30, "cap_unit": "calendar_days", "cap_event": StartEvent.OCCURRED}
    cast.commit(northwind, Obligation.REPORT, 1, "months", start_event=StartEvent.RESOLVED, label="b", **limit)
    made = lifecycle.declare(
        by=olga,
        now=at("10:00"),
        title=TITLE,
        severity=Severity.CRITICAL,
        services=[cast.service("Object storage")],
        detected_at=at("10:00"),
    )
    return lifecycle.acknowledge(made, by=olga, now=at("10:05"))


def mail(kind: NoticeKind, incident: Incident, language: str) -> Notice:
    """A notice that is late to Northwind's contact, in that language."""
    cast.past_the_trail(Client.objects, language=language)
    incident = Incident.objects.get(pk=incident.pk)
    directory = notices.Directory([incident])
    deadline = incident.deadlines.get(obligation=Obligation.NOTIFY)
    (recipient,) = directory.client_recipients(deadline.client)
    return notices.compose(
        kind, recipient, incident, directory, now=at("15:00"), client=deadline.client, deadline=deadline, moment="m"
    )


def parts(notice: Notice) -> str:
    """All that its reader sees."""
    seen = (notice.subject, notice.late_note, notice.text, without_markup(notice.html))
    return "\n".join(seen)


def without_markup(content: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", " ", content))


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", re.sub(r"https?://\S+", "", text).casefold())) - TYPED


def english_left(said: str, english: str, language: str) -> set[str]:
    """Words of the English rendering that stand in the other as well, though the languages do not share them."""
    return (words(said) & words(english)) - SHARED[language]


@pytest.mark.django_db
class TestMails:
    @every_language
    @every_kind
    def test_no_word_of_english_is_left(self, kind: NoticeKind, language: str, incident: Incident) -> None:
        said, english = (parts(mail(kind, incident, code)) for code in (language, "en"))
        assert len(words(english)) > 40
        assert not english_left(said, english, language)
        assert "%(" not in said

    @every_language
    @every_kind
    def test_nor_where_the_template_is_broken(self, kind: NoticeKind, language: str, incident: Incident) -> None:
        deadline = incident.deadlines.get(obligation=Obligation.NOTIFY)
        context = {
            "incident": incident,
            "deadline": deadline,
            "zone": "America/New_York",
            "services": ["Object storage"],
            "message": "",
            "acknowledge_url": "https://due-notice.example/",
        }
        said = {}
        for code in (language, "en"):
            with translation.override(code):
                fallback = notices._plain_facts(kind, context)
            said[code] = fallback.subject + fallback.text
        assert not english_left(said[language], said["en"], language)
        assert fallback.html.startswith("<!doctype html><body><!-- late note --><p>"), (
            "paragraphs, not their markup as text"
        )

    def test_a_colleague_is_written_to_in_the_language_that_they_chose(
        self, incident: Incident, olga: User, northwind: ServiceAgreement
    ) -> None:
        cast.past_the_trail(User.objects.filter(pk=olga.pk), language="de")
        cast.past_the_trail(Contact.objects, is_active=False)
        directory = notices.Directory([incident])
        alarms = notices.no_contact_alarm(
            incident, northwind.client, directory, now=at("12:00"), deadline=None, moment="m"
        )
        (alarm,) = [alarm for alarm in alarms if alarm.user_id == olga.pk]
        said = parts(alarm)
        assert "Northwind" in said
        assert "has no contact" not in said
        assert "Schweregrad" in said

    @every_language
    @every_kind
    def test_facts_and_typed_words_survive(self, kind: NoticeKind, language: str, incident: Incident) -> None:
        notice = mail(kind, incident, language)
        assert f'<html lang="{language}">' in notice.html
        for content in (notice.text, notice.html):
            facts = ["Northwind Operations", TITLE, incident.reference, "Object storage", "America/New_York"]
            for fact in (*facts, "05:00 EST", "09:00 EST", "/notice/"):
                assert fact in content
        assert "24" in notice.late_note
        assert "09:00 EST" in notice.late_note

    @every_language
    @every_kind
    def test_what_people_typed_is_escaped_and_a_long_title_is_not_cut(
        self, kind: NoticeKind, language: str, incident: Incident
    ) -> None:
        hostile = "<b>%(title)s & %s {{ incident }}</b>"
        cast.past_the_trail(Incident.objects, title=f"{hostile}{'x' * (200 - len(hostile))}")
        cast.past_the_trail(Client.objects, name=hostile)
        cast.past_the_trail(Contact.objects, name=hostile)
        notice = mail(kind, incident, language)
        escaped = "&lt;b&gt;%(title)s &amp; %s {{ incident }}&lt;/b&gt;"
        assert "<b>" not in notice.html
        assert notice.html.count(escaped) >= 3
        assert hostile in notice.text
        assert len(notice.subject) <= 300
        assert kind == NoticeKind.WARNING or notice.subject.endswith("x" * (200 - len(hostile)))

    @pytest.mark.parametrize(
        ("language", "expected"),
        [
            ("en", "24 Nov 2026, 09:00 EST"),
            ("de", "24. November 2026, 09:00 EST"),
            ("fr", "24 novembre 2026 à 09:00 EST"),
            ("es", "24 de noviembre de 2026, 09:00 EST"),
        ],
    )
    def test_dates_read_as_they_are_written_there(self, language: str, expected: str) -> None:
        with translation.override(language):
            assert times.in_zone(at("14:00"), "America/New_York") == expected


#: Amount, unit, other terms; what the contract's clause is called in English, German, French and Spanish.
SAID = [
    (
        (4, "hours", {}),
        "within 4 hours of detection",
        "spätestens 4 Stunden nach Feststellung",
        "sous 4 heures à compter de la détection",
        "en un plazo de 4 horas desde la detección",
    ),
    (
        (1, "business_days", {"start_event": StartEvent.AWARE, "roll": "next_business_day"}),
        "within 1 business day of when we became aware, moved to a business day",
        "spätestens 1 Geschäftstag nach Kenntniserlangung, mit Verschiebung auf einen Geschäftstag",
        "sous 1 jour ouvré à compter de la prise de connaissance, avec report à un jour ouvré",
        "en un plazo de 1 día hábil desde la toma de conocimiento, con traslado a un día hábil",
    ),
    (
        (24, "hours", {"start_event": "classified", "cap_amount": 3, "cap_unit": "months", "cap_event": "occurred"}),
        "within 24 hours of classification, at most 3 months from when it happened",
        "spätestens 24 Stunden nach Einstufung, höchstens 3 Monate nach Eintritt",
        "sous 24 heures à compter de la classification, au plus 3 mois à compter de la survenance",
        "en un plazo de 24 horas desde la clasificación, como máximo 3 meses desde el momento en que se produjo",
    ),
    (
        (1, "hours", {"obligation": Obligation.UPDATE, "is_recurring": True}),
        "every 1 hour until resolved",
        "im Abstand von 1 Stunde bis zur Behebung",
        "à intervalles de 1 heure jusqu’à la résolution",
        "cada 1 hora hasta la resolución",
    ),
    (
        (3, "business_days", {"obligation": Obligation.UPDATE, "is_recurring": True}),
        "every 3 business days until resolved",
        "alle 3 Geschäftstage bis zur Behebung",
        "à intervalles de 3 jours ouvrés jusqu’à la résolution",
        "cada 3 días hábiles hasta la resolución",
    ),
    (
        (None, "hours", {}),
        "as quickly as possible",
        "schnellstmöglich",
        "dans les meilleurs délais",
        "lo antes posible",
    ),
]


@pytest.mark.django_db
class TestTerms:
    @pytest.mark.parametrize(("terms", "en", "de", "fr", "es"), SAID)
    def test_they_are_sentences_in_every_language(
        self,
        terms: tuple[int | None, str, dict[str, object]],
        en: str,
        de: str,
        fr: str,
        es: str,
        northwind: ServiceAgreement,
    ) -> None:
        amount, unit, more = terms
        obligation = Obligation(str(more.pop("obligation", Obligation.MITIGATE)))
        commitment = cast.commit(northwind, obligation, amount, unit, label="x", **more)
        agreed = agreed_terms(commitment)
        said = {}
        for language in ("en", *LANGUAGES):
            with translation.override(language):
                said[language] = agreed.in_words(commitment.start_event)
        assert said == {"en": en, "de": de, "fr": fr, "es": es}

    @pytest.mark.parametrize(
        ("language", "expected"),
        [
            ("en", "within 3 months of “Notify the client (first)” being met"),
            ("de", "spätestens 3 Monate nach Erfüllung von „Mitteilung an den Kunden (first)“"),
            (
                "fr",
                "sous 3 mois à compter de l’exécution de « Notification au client (first) »",
            ),
            ("es", "en un plazo de 3 meses desde el cumplimiento de «Notificación al cliente (first)»"),
        ],
    )
    def test_a_commitment_that_must_be_met_first_is_named_in_the_readers_language_whoever_copied_it(
        self, language: str, expected: str, northwind: ServiceAgreement
    ) -> None:
        first = cast.commit(northwind, Obligation.NOTIFY, 1, label="first")
        report = cast.commit(northwind, Obligation.REPORT, 3, "months", start_event="commitment", follows=first)
        with translation.override("es"):
            agreed = agreed_terms(report)
        assert agreed == agreed_terms(report)
        with translation.override(language):
            assert agreed.in_words(report.start_event) == expected


# ── English is the source, and stays as it was ──────────────────────────────────────────────────────────────────────

ENGLISH = """\
Northwind Operations,

We notify you of an incident of severity “critical” that affects services we provide to Northwind.

  Incident   INC-2026-0001, Xyzzy Qux
  Severity   Critical
  Detected   24 Nov 2026, 05:00 EST
  Affects    Object storage
  Status     Acknowledged

What our agreement says, and where we stand:

  Acknowledgement   within 15 minutes of detection         done 24 Nov 2026, 05:05 EST
  Update to you     every 2 hours until resolved           by 24 Nov 2026, 07:00 EST
  Notice to you     within 4 hours of detection            by 24 Nov 2026, 09:00 EST: this message
"""


@pytest.mark.django_db
def test_english_is_what_it_was(incident: Incident) -> None:
    notice = mail(NoticeKind.CLIENT_NOTICE, incident, "en")
    assert notice.subject == "[INC-2026-0001] Critical incident: Xyzzy Qux"
    assert notice.late_note == "This message is late: it was due by 24 Nov 2026, 09:00 EST."
    assert notice.text.startswith(ENGLISH)


# ── the page where a client confirms ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def link(incident: Incident) -> str:
    """The path of the page of a notice that was sent, late, to Northwind."""
    cache.clear()
    cast.past_the_trail(incident.deadlines, next_action_at=None)
    notice = mail(NoticeKind.CLIENT_NOTICE, incident, "en")
    notice.made_at = notice.accepted_at = timezone.now()
    notice.state = NoticeState.SENT
    notice.save()
    return re.search(r"/notice/\S+/", notice.text)[0]  # type: ignore[index]


def page(answer: object) -> str:
    """Its words, without those of the mail that it shows, which was written in English."""
    content = answer.content.decode()  # type: ignore[attr-defined]
    return without_markup(re.sub(r"(?s)<article.*</article>", "", content)).replace("Due Notice", "")


@pytest.mark.django_db
class TestAcknowledgementPage:
    @every_language
    def test_it_is_all_in_the_clients_language(self, language: str, link: str, client: Browser) -> None:
        said = {}
        for code in ("en", language):
            cast.past_the_trail(Client.objects, language=code)
            cache.clear()
            said[code] = client.get(link, headers={"Accept-Language": "en"})
        assert f'<html lang="{language}">' in said[language].content.decode()
        assert not english_left(page(said[language]), page(said["en"]), language)
        client.post(link)
        said = {}
        for code in ("en", language):
            cast.past_the_trail(Client.objects, language=code)
            said[code] = client.get(link)
        assert not english_left(page(said[language]), page(said["en"]), language)

    @every_language
    def test_where_the_link_leads_nowhere_the_browsers_language_is_the_best_guess(
        self, language: str, client: Browser, db: None
    ) -> None:
        wrong = reverse("incidents:acknowledge", args=["cut-off/"])
        cache.clear()
        said, english = (client.get(wrong, headers={"Accept-Language": code}) for code in (language, "en"))
        assert said.status_code == 404
        assert said.headers["Content-Language"] == language
        assert not english_left(page(said), page(english), language)

    @every_language
    def test_it_refuses_in_the_clients_language(self, language: str, link: str, client: Browser) -> None:
        cast.past_the_trail(Notice.objects, link_revoked_at=timezone.now())
        said = {}
        for code in ("en", language):
            cast.past_the_trail(Client.objects, language=code)
            said[code] = page(client.get(link))
        assert not english_left(said[language], said["en"], language)


# ── the admin ───────────────────────────────────────────────────────────────────────────────────────────────────────


@every_language
def test_the_admin_is_in_the_language_of_whoever_reads_it(language: str, olga: User, client: Browser) -> None:
    cast.past_the_trail(User.objects, language=language)
    client.force_login(olga)
    board = client.get(reverse("admin:index"), headers={"Accept-Language": "en"})
    with translation.override(language):
        log_out = translation.gettext("Log out")
    assert log_out != "Log out"
    assert board.headers["Content-Language"] == language
    content = html.unescape(board.content.decode())
    assert f'<html lang="{language}"' in content
    assert log_out in content


@every_language
def test_whoever_has_not_signed_in_reads_what_the_browser_prefers(language: str, db: None, client: Browser) -> None:
    sign_in = client.get(reverse("admin:login"), headers={"Accept-Language": f"ja, {language};q=0.8, en;q=0.5"})
    assert sign_in.headers["Content-Language"] == language
    assert "Accept-Language" in sign_in.headers["Vary"]
    assert f'<html lang="{language}"' in sign_in.content.decode()
    assert "Password:" not in sign_in.content.decode()


def test_a_language_that_nobody_speaks_here_is_english(db: None, client: Browser) -> None:
    sign_in = client.get(reverse("admin:login"), headers={"Accept-Language": "ja"})
    assert sign_in.headers["Content-Language"] == "en"
    assert "Password:" in sign_in.content.decode()


@every_language
def test_a_refusal_says_in_which_language_it_is(language: str, olga: User, client: Browser) -> None:
    cast.past_the_trail(User.objects, language=language)
    client.force_login(olga)
    refused = client.get("/admin/nothing/is/here/")
    assert refused.status_code == 404
    assert f'<html lang="{language}"' in refused.content.decode()


@every_language
def test_days_are_written_as_the_reader_writes_them(language: str, max_: User, client: Browser) -> None:
    """By Django's own formats: a closure on a list, with no word of ours around it."""
    cast.past_the_trail(User.objects, language=language)
    calendar = cast.office_hours()
    SpecialDay.objects.create(calendar=calendar, on=dt.date(2026, 12, 25))
    client.force_login(max_)
    page_of_calendars = client.get(reverse("admin:agreements_servicecalendar_changelist"))
    written = {"de": "25. Dezember 2026", "fr": "25 décembre 2026", "es": "25 de diciembre de 2026"}[language]
    assert written in html.unescape(page_of_calendars.content.decode())


@pytest.mark.django_db
def test_the_browsers_language_does_not_stay_for_the_next_request(olga: User, client: Browser) -> None:
    client.get(reverse("incidents:acknowledge", args=["cut-off/"]), headers={"Accept-Language": "fr"})
    assert translation.get_language() == settings.LANGUAGE_CODE


# ── nothing that colleagues read escapes gettext ────────────────────────────────────────────────────────────────────

#: Words that are the same in every language.
SAME_EVERYWHERE = {"Due Notice", "NW-2025-03", "CSV", "XLSX"}
#: Attributes that people read or hear.
SAID_BY_ATTRIBUTE = re.compile(r"""\b(?:title|aria-label|alt|placeholder)=(?P<q>["'])(?P<text>.*?)(?P=q)""")
#: What nobody reads, what a key is called, and what goes through gettext as a block.
SKIPPED = (
    r"\{#.*?#\}",
    r"<!--.*?-->",
    r"\{% comment.*?endcomment %\}",
    r"<(script|style|kbd)\b.*?</\1>",
    r"\{% block (?:bodyclass|coltype) %\}.*?\{% endblock %\}",
    r"\{% blocktrans.*?endblocktrans(?:late)? %\}",
)


def unwrapped_texts(source: str) -> Iterator[str]:
    """Words that stand in a template as they are, between its tags or in an attribute that is read."""
    for skipped in SKIPPED:
        source = re.sub(f"(?s){skipped}", " ", source)
    source = re.sub(r"(?s)\{[%{].*?[%}]\}", "\0", source)
    said = [found["text"] for found in SAID_BY_ATTRIBUTE.finditer(source)]
    for text in (*said, *re.split(r"(?s)<[^>]*>", source)):
        for piece in text.split("\0"):
            words = html.unescape(" ".join(piece.split()))
            if re.search(r"[^\W\d_]{2,}", words) and words.strip(" ,()") not in SAME_EVERYWHERE:
                yield words


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("<p>{% translate 'Save' %} · {{ name }}</p>", []),
        ("<p>Save {{ name }}</p>", ["Save"]),
        ('<a title="To the board" href="{% url "admin:index" %}">{{ x }}</a>', ["To the board"]),
        ("{% blocktranslate %}Hello <b>you</b>{% endblocktranslate %}{# not said #}<b>×</b>", []),
        ("<li{% if a %} class='is-next'{% endif %}>{{ b }}</li>", []),
    ],
)
def test_the_search_for_unwrapped_texts_finds_what_it_should(source: str, found: list[str]) -> None:
    assert list(unwrapped_texts(source)) == found


STAFF_PAGES = sorted(path for path in (ROOT / "templates").rglob("*.html") if "admin" in path.parts)


@pytest.mark.parametrize("path", STAFF_PAGES, ids=lambda path: str(path.relative_to(ROOT / "templates")))
def test_every_text_of_the_admins_templates_goes_through_gettext(path: Path) -> None:
    assert not list(unwrapped_texts(path.read_text()))
