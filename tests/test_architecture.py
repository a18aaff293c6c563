"""The house rules of the design, kept by the suite. An exemption carries its reason."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.db import models

from config import __version__, scope
from config.admin import AuditedModelAdmin
from config.history import AddedOnly, AuditedModel

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("config", "agreements", "incidents", "reviews")  # from the ground up


def modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """(path below the root, syntax tree) of the product's own modules."""
    for folder in folders or FLOORS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def calls(tree: ast.Module) -> Iterator[tuple[str, ast.Call]]:
    """(dotted name, node) of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_imports_only_the_floors_below_it(floor: str) -> None:
    above = FLOORS[FLOORS.index(floor) + 1 :]
    wrong = {(path, name) for path, tree in modules(floor) for name in imported(tree) if name.split(".")[0] in above}
    assert not wrong


def test_only_the_transport_speaks_smtp() -> None:
    speakers = {path for path, tree in modules() for name in imported(tree) if name.split(".")[0] == "smtplib"}
    assert speakers == {"incidents/smtp.py"}
    senders = {path for path, tree in modules() for name in imported(tree) if name.startswith("django.core.mail")}
    assert not senders, "Django's own mail backends have no timeout and hide partly refused recipients"


#: Where the present instant enters; everywhere else it is an argument.
#: config/instants.py is the clock that the edges ask.
EDGES = (
    "config/instants.py",
    "/admin/",
    "/admin.py",
    "/management/",
    "/tasks.py",
    "/demo/",
    "/views.py",
    "/templatetags/",
)


def test_only_edges_ask_what_time_it_is() -> None:
    asking = {"timezone.now", "datetime.now", "dt.datetime.now", "datetime.utcnow", "dt.date.today", "date.today"}
    wrong = {
        (path, name)
        for path, tree in modules()
        for name, _node in calls(tree)
        if name in asking and not any(edge in f"/{path}" for edge in EDGES)
    }
    assert not wrong


def test_the_contract_clock_knows_nothing_of_django() -> None:
    for path in ("agreements/clock.py", "config/zones.py"):
        names = set(imported(ast.parse((ROOT / path).read_text())))
        assert not {name for name in names if name.split(".")[0] in ("django", "incidents", "reviews")}, path


def test_the_version_is_said_once() -> None:
    assert f'\nversion = "{__version__}"\n' in (ROOT / "pyproject.toml").read_text()


# ── the audit trail ─────────────────────────────────────────────────────────────────────────────────────────────────

#: Models that need no trail of their own, besides those to which rows are only added.
WITHOUT_HISTORY = {
    "incidents.ReferenceCounter": "a counter; the reference itself is in the incident's trail",
    "incidents.Tally": "counts for the metrics what other rows say",
    "incidents.AlertGroup": "says only which incident is told; the incident's own trail has what it was told",
    "incidents.Heartbeat": "says only when a part of the delivery was last at work",
    "config.SavedFilter": "a person's own preference, which nobody else sees",
    "config.BrowserReport": "a count of what browsers refused, by no act of anybody",
}


#: Of libraries, with a table that is written: why no history tells of it.
OF_OTHERS = {
    "mfa.Authenticator": "secrets, which no history may keep; events tell of each that is added, removed or reset",
    "socialaccount.SocialAccount": "who somebody is at the provider; events tell of each link",
    "socialaccount.SocialApp": "never written: the provider is set in the environment",
    "socialaccount.SocialToken": "never written: no token is kept",
    "account.EmailAddress": "never written: an address is a field of the account",
    "account.EmailConfirmation": "never written: nobody signs up",
}


def test_what_a_library_keeps_is_told_of_elsewhere() -> None:
    found = {model._meta.label for model in apps.get_models() if model.__module__.startswith("allauth.")}
    assert found == set(OF_OTHERS)


def our_models() -> list[type[models.Model]]:
    return [
        model
        for model in apps.get_models()
        if model._meta.app_label in FLOORS
        and not hasattr(model, "history_object")
        and not model._meta.auto_created
        and not model.__name__.startswith("Historical")
    ]


def test_every_model_is_audited() -> None:
    bare = {model._meta.label for model in our_models() if not issubclass(model, (AuditedModel, AddedOnly))}
    assert bare == set(WITHOUT_HISTORY)
    assert all(
        hasattr(m._meta, "simple_history_manager_attribute") for m in our_models() if issubclass(m, AuditedModel)
    )


def test_every_many_to_many_goes_through_an_audited_model() -> None:
    for model in our_models():
        for field in model._meta.many_to_many:
            through = field.remote_field.through
            assert through is not None
            tracked = getattr(model, "history").model._history_m2m_fields  # noqa: B009 - the library adds the attribute
            is_tracked = field.name in {tracked_field.name for tracked_field in tracked}
            inherited = field.name == "user_permissions"  # not offered on any page; roles are the only way
            assert issubclass(through, AuditedModel) or is_tracked or inherited, field


#: Writes that go past `save` and so leave no history row, with why each may.
BULK_WRITES = {
    ("config/history.py", "super().update"): "what a model declares to be told of elsewhere, or by nobody",
    ("config/history.py", "super().bulk_create"): "a new row that is its own record",
    ("config/browser_reports.py", "same.update"): "a count, which has no trail",
    ("config/browser_reports.py", "BrowserReport.objects.bulk_create"): "a count, which has no trail",
    ("config/audit/concerns.py", "Concern.objects.bulk_create"): "rows are only ever added, and have no history",
    ("config/audit/giving_up.py", "GivenUp.objects.bulk_create"): "rows are only ever added, and have no history",
    (
        "config/audit/giving_up.py",
        "type(row)._base_manager.filter(pk=row.pk).update",
    ): "a row of the trail, in which the mark alone can stand; GivenUp tells of it",
    ("config/audit/seals.py", "SealedRange.objects.bulk_create"): "a seal is its own record, and is sealed by the next",
    ("incidents/notices.py", "Notice.objects.bulk_create"): "a new row is its own record: frozen, with made_at",
    ("incidents/notices.py", "Deadline.objects.bulk_update"): "the queue's cursor, which is no act of anybody",
    (
        "incidents/notices.py",
        "Deadline.objects.open().filter(pk=pk).update",
    ): "the queue's cursor, which is no act of anybody",
    ("incidents/deadlines.py", "unsent.update"): "queue states say why in state_reason",
    (
        "incidents/metrics.py",
        "Tally.objects.filter(pk=tally.pk, counted_until=tally.counted_until).update",
    ): "compare-and-set of counts, which have no trail",
    ("incidents/watchdog.py", "older.update"): "a heartbeat, which has no trail",
    ("incidents/watchdog.py", "Heartbeat.objects.bulk_create"): "a heartbeat, which has no trail",
    (
        "incidents/outbox.py",
        "Notice.objects.filter(pk__in=[notice.pk for notice in taken]).update",
    ): "compare-and-set of the lease",
    ("incidents/outbox.py", "mine.update"): "compare-and-set; told by DeliveryAttempt",
    (
        "incidents/outbox.py",
        "Notice.objects.filter(still_mine | given_back, pk=notice.pk).update",
    ): "compare-and-set; told by DeliveryAttempt",
    ("incidents/notices.py", "Notice.objects.waiting().filter(pk=notice.pk).update"): "says why in state_reason",
    (
        "incidents/breaker.py",
        "Sending.objects.filter(pk=row.pk, retry_at=row.retry_at).update",
    ): "the breaker, which is no act of anybody",
    ("incidents/intake.py", "mine.update"): "counts the calls of a minute, which is no act of anybody",
    ("incidents/breaker.py", "seen.update"): "the breaker, which is no act of anybody",
    (
        "incidents/breaker.py",
        "Sending.objects.exclude(fault='').update",
    ): "the breaker, which is no act of anybody",
    ("incidents/outbox.py", "free.update"): "compare-and-set; told by DeliveryAttempt",
    ("reviews/reminders.py", "waiting.update"): "compare-and-set of what waits in the queue, with its reason",
    ("incidents/breaker.py", "at_fault.update"): "the breaker, which is no act of anybody",
    (
        "incidents/outbox.py",
        "Notice.objects.filter(pk__in=ids, lease_token__in=tokens, state=NoticeState.LEASED).update",
    ): "compare-and-set of the lease",
}
PAST_SAVE = {"update", "bulk_update", "bulk_create", "update_or_create"}
NO_QUERYSETS = {
    "hashlib",
    "self._digest",
    "digest",
    "context",
    "options",
    "self.fields",
    "fields",
    "env",
    "os.environ",
}  # whose update is a dict's


def test_nothing_writes_past_the_trail() -> None:
    found = {
        (path, name)
        for path, tree in modules()
        for name, _node in calls(tree)
        if name.rpartition(".")[2] in PAST_SAVE and name.rpartition(".")[0] not in NO_QUERYSETS and "/demo/" not in path
    }
    assert found == set(BULK_WRITES)


def test_every_admin_derives_from_the_audited_base() -> None:
    bare = {type(a).__name__ for a in admin.site._registry.values() if not isinstance(a, AuditedModelAdmin)}
    assert not bare


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_no_module_is_a_drawer_for_anything() -> None:
    drawers = {"utils", "helpers", "services", "signals", "common", "misc"}
    found = [path for path, _tree in modules() if set(Path(path).with_suffix("").parts) & drawers]
    assert not found


# ── who sees what ───────────────────────────────────────────────────────────────────────────────────────────────────

#: Pages that read models which not everybody sees in whole, without asking config/scope.py there, with why each may.
OF_THE_PAGE = "parts of the row whose page it is, which is seen"
COUNTED = "seen by whoever counts or shows it (config/site.py, config/navigation.py)"
SET_UP = "whether there is any, for the guide"
NARROWS = "narrows rows that are seen"
NONE_YET = "none, until the form says which of those that are seen"
#: By file: why, and in which functions.
UNSCOPED = {
    "agreements/admin/agreement.py": (OF_THE_PAGE, "Amend.is_lawful reading_of"),
    "agreements/admin/client.py": (OF_THE_PAGE, "ClientAdmin.get_queryset reading_of"),
    "agreements/admin/commitment.py": (OF_THE_PAGE, "CommitmentForm._offer_to_follow"),
    "agreements/admin/compare.py": (NONE_YET, "Choice _first_choice"),
    "agreements/admin/first_steps.py": (SET_UP, "_agreement _page_of_a_client agreement client contacts"),
    "agreements/admin/lists.py": (NARROWS, "AgreementFilter ClientList.with_columns"),
    "config/admin/trail_filters.py": (NARROWS, "TrailFilters.__init__"),
    "incidents/admin/as_it_was.py": ("seen by what it is given", "notices_by"),
    "incidents/admin/board.py": (COUNTED, "at_risk missed_today open_critical stuck_notices"),
    "incidents/admin/deadline.py": (NARROWS, "DeadlineAdmin.with_columns _of_responders"),
    "incidents/admin/decisions.py": (OF_THE_PAGE, "ToldOtherwise.facts"),
    "incidents/admin/first_steps.py": (SET_UP, "first_incident mail"),
    "incidents/admin/foretold.py": (
        "of agreements that are chosen, or foretold of verbs that such a person may not do",
        "Foretold.beginning_at Foretold.unsent_to",
    ),
    "incidents/admin/incident_list.py": (NARROWS, "IncidentList.with_columns"),
    "incidents/admin/navigation.py": (COUNTED, "(module)"),
    "incidents/admin/notice.py": (OF_THE_PAGE, "NoticeAdmin.acknowledged NoticeFilter.by_incident"),
    "incidents/admin/panels.py": (OF_THE_PAGE, "_open_incidents of_client under_agreement"),
    "incidents/admin/present_terms.py": (NONE_YET, "AgreementForm"),
    "incidents/admin/pseudonymise.py": (OF_THE_PAGE, "Pseudonymise Pseudonymise.contacts Pseudonymise.is_lawful"),
    "incidents/admin/trail.py": ("of an incident that is seen; what is told of it is asked for line by line", "trails"),
    "incidents/admin/verbs.py": (
        NONE_YET,
        "AgreementForm AgreementForm.__init__ Merge Merge.is_lawful RecordTold "
        "RecordTold.__init__ TellForm TellForm.__init__ VerbForm.hold usable_contacts",
    ),
    "reviews/admin/action.py": (NARROWS, "_of_clients _of_services"),
    "reviews/admin/board.py": (COUNTED, "(module) overdue_actions"),
    "reviews/admin/steps.py": (NONE_YET, "PickEntries"),
    "reviews/admin/review.py": (OF_THE_PAGE, "ReviewFilter review_of"),
    "reviews/admin/share.py": (NONE_YET, "Share Share.__init__"),
}


def hangs_on_a_client(model: type[models.Model]) -> bool:
    return scope._within(model, None, frozenset()) is not None if issubclass(model, AuditedModel | AddedOnly) else False


def test_pages_ask_who_sees_what_of_every_model_that_hangs_on_a_client() -> None:
    limited = {model.__name__ for model in our_models() if hangs_on_a_client(model)}
    assert {"Client", "Contact", "Deadline", "Incident", "Notice", "CorrectiveAction"} <= limited
    assert not {"Service", "ServiceCalendar", "User", "MessageTemplate"} & limited
    found = defaultdict(set)
    for path, tree in modules():
        if "/admin" not in path:
            continue
        asked = {id(inner) for name, node in calls(tree) if name == "scope.visible" for inner in ast.walk(node)}
        for function, node in within_functions(tree):
            if (
                isinstance(node, ast.Attribute)
                and node.attr in ("objects", "_default_manager", "history")
                and isinstance(node.value, ast.Name)
                and node.value.id in limited
                and id(node) not in asked
            ):
                found[path].add(function)
    assert found == {path: set(functions.split()) for path, (_reason, functions) in UNSCOPED.items()}


def within_functions(node: ast.AST, around: str = "") -> Iterator[tuple[str, ast.AST]]:
    """(dotted name of the function or class that it stands in, node) of everything below it."""
    for child in ast.iter_child_nodes(node):
        yield around or "(module)", child
        name = f"{around}.{child.name}".lstrip(".") if isinstance(child, ast.FunctionDef | ast.ClassDef) else around
        yield from within_functions(child, name)
