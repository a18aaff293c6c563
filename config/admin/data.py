"""The pages of data in and out: what can be exported and imported, and one page for each kind of rows.

An import takes two presses: the first shows what the file would do, the second does it. Between the two the file is
kept nowhere but on the page itself, sealed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core import signing
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from config import exports, instants, proof, sheets, transfer, turns
from config.admin.histories import READING_METHODS
from config.fields import validate_line
from config.forms import add_refusal, reason_field
from config.models import User
from config.navigation import Entry, Part
from config.sheets import Line, Sheet
from config.site import site
from config.transfer import KINDS, Kind, Report

PAGE, KIND, EXPORT, TEMPLATE = "data", "data_kind", "data_export", "data_template"
SHOWN = 100  # lines of what would be done
KEPT_FOR = 3600  # seconds between the two presses
MOST_SEALED = 2_000_000  # characters of a sealed file; Django takes fields of 2.5 MB


class UploadForm(forms.Form):
    file = forms.FileField(
        label=_("File"),
        help_text=_("CSV or XLSX. Nothing is changed before you have seen what it would do."),
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,.xlsx,.xlsm"}),
        allow_empty_file=True,
    )

    def __init__(self, *args: Any, kind: type[Kind], **options: Any) -> None:
        super().__init__(*args, **options)
        self.kind = kind

    def clean_file(self) -> Sheet:
        file = self.cleaned_data["file"]
        if file.size > sheets.MOST_BYTES:
            raise sheets.too_big()
        return sheets.read(file.read(), self.kind.names())


class ConfirmForm(forms.Form):
    """Carries the file as it was read, and what it would do as it was shown."""

    reason = reason_field()
    sealed = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, kind: type[Kind], by: User, **options: Any) -> None:
        super().__init__(*args, **options)
        self.salt = f"config.data {kind.slug} by {by.pk}"

    def clean_sealed(self) -> tuple[Sheet, str, str]:
        try:
            columns, lines, name, seen = signing.loads(self.cleaned_data["sealed"], salt=self.salt, max_age=KEPT_FOR)
        except signing.BadSignature as error:
            raise ValidationError(_("The page is too old, or was cut off. Choose the file again.")) from error
        return (
            Sheet(tuple(columns), tuple(Line(n, dict(zip(columns, cells, strict=True))) for n, cells in lines)),
            name,
            seen,
        )


def _sealed(form: ConfirmForm, sheet: Sheet, name: str, report: Report) -> str:
    """Raises Unreadable for what no page could carry."""
    lines = [(line.number, [line.cells[column] for column in sheet.columns]) for line in sheet.lines]
    sealed = signing.dumps([sheet.columns, lines, name, report.digest], salt=form.salt, compress=True)
    if len(sealed) > MOST_SEALED:
        raise sheets.too_big()
    return sealed


# ── the pages ───────────────────────────────────────────────────────────────────────────────────────────────────────


def index(request: HttpRequest) -> HttpResponse:
    """Which kinds there are, for whoever may do anything with them."""
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    kinds = [kind for kind in KINDS.values() if kind.may_export(request.user)]
    if not kinds:
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": _now("Data in and out"),
        "kinds": [(kind, kind.may_import(request.user)) for kind in kinds],
        "may_import_any": any(kind.may_import(request.user) for kind in kinds),
    }
    return TemplateResponse(request, "admin/data/index.html", context)


def _of_a_kind(view: Callable[[HttpRequest, type[Kind]], Any]) -> Callable[[HttpRequest, str], Any]:
    def answer(request: HttpRequest, kind: str) -> Any:
        if kind not in KINDS:
            raise Http404
        return view(request, KINDS[kind])

    return answer


@_of_a_kind
@turns.one_at_a_time
def one(request: HttpRequest, kind: type[Kind]) -> HttpResponse:
    """Its columns; POST `file` shows what that would do, POST `sealed` does what was shown."""
    if request.method not in (*READING_METHODS, "POST"):
        return HttpResponseNotAllowed((*READING_METHODS, "POST"))
    may_import = kind.may_import(request.user)
    if not kind.may_export(request.user) or (request.method == "POST" and not may_import):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": kind.label,
        "kind": kind,
        "columns": kind.columns(),
        "may_import": may_import,
        "limits": {"rows": sheets.MOST_ROWS, "kilobytes": sheets.MOST_BYTES // 1000},
        "upload": UploadForm(kind=kind),
    }
    if request.method == "POST":
        act = _confirm if "sealed" in request.POST else _show
        answer = act(request, kind)
        if isinstance(answer, HttpResponse):
            return answer
        context |= answer
    return TemplateResponse(request, "admin/data/kind.html", context)


def _show(request: HttpRequest, kind: type[Kind]) -> dict[str, Any]:
    """What the page shows of a file that was chosen."""
    by: User = request.user  # type: ignore[assignment]  # the site lets nobody in who is not signed in
    upload = UploadForm(request.POST, request.FILES, kind=kind)
    if not upload.is_valid():
        return {"upload": upload}
    sheet, name = upload.cleaned_data["file"], _plain_name(request.FILES["file"].name)  # type: ignore[union-attr]
    report = transfer.rehearse(kind, sheet, by=by, now=instants.now())
    confirm = ConfirmForm(kind=kind, by=by)
    if not report.problems and report.does:
        try:
            confirm.initial["sealed"] = _sealed(confirm, sheet, name, report)
        except ValidationError as refusal:
            upload.add_error("file", refusal)
            return {"upload": upload}
    return {"report": report, "shown": report.does[:SHOWN], "name": name, "confirm": confirm}


def _confirm(request: HttpRequest, kind: type[Kind]) -> dict[str, Any] | HttpResponse:
    """What the page shows if nothing was done; or where to go after it was."""
    by: User = request.user  # type: ignore[assignment]
    confirm = ConfirmForm(request.POST, kind=kind, by=by)
    if "sealed" in confirm.errors:
        upload = UploadForm({}, kind=kind)
        upload.errors["file"] = confirm.errors["sealed"]
        return {"upload": upload}
    sheet, name, seen = confirm.cleaned_data["sealed"]
    if not confirm.is_valid():
        report = transfer.rehearse(kind, sheet, by=by, now=instants.now())
        return {"report": report, "shown": report.does[:SHOWN], "name": name, "confirm": confirm}
    try:
        report = transfer.carry_out(
            kind, sheet, by=by, reason=confirm.cleaned_data["reason"], seen=seen, name=name, now=instants.now()
        )
    except transfer.NotDone as refusal:
        again = ConfirmForm(kind=kind, by=by, initial={"reason": confirm.cleaned_data["reason"]})
        again.initial["sealed"] = _sealed(again, sheet, name, refusal.report)
        found = {"report": refusal.report, "shown": refusal.report.does[:SHOWN], "name": name, "confirm": again}
        return {**found, "refusal": refusal.messages[0]}
    except ValidationError as refusal:
        add_refusal(confirm, refusal)
        return {"confirm": confirm}
    messages.success(request, _done(report))
    return HttpResponseRedirect(request.path)


def _done(report: Report) -> str:
    count = len(report.does)
    said = ngettext("%(count)d line was imported.", "%(count)d lines were imported.", count)
    return said % {"count": count}


def _plain_name(name: str | None) -> str:
    """The name of the file as it may stand in the trail."""
    try:
        validate_line(name or "")
    except ValidationError:
        return "–"
    return (name or "–")[-100:]


@_of_a_kind
@turns.one_at_a_time
def export(request: HttpRequest, kind: type[Kind]) -> Any:
    """As CSV, or as what `form` in the address says."""
    if request.method != "GET":
        return HttpResponseNotAllowed(["GET"])
    if not kind.may_export(request.user):
        raise PermissionDenied
    by: User = request.user  # type: ignore[assignment]
    form = exports.FORMS.get(request.GET.get("form", exports.CSV.ending))
    if form is None:
        raise Http404
    try:
        return transfer.export(kind, form, by=by, now=instants.now())
    except exports.TooMany as refusal:
        messages.warning(request, refusal.message)
        return HttpResponseRedirect(reverse(f"admin:{KIND}", args=[kind.slug]))


@_of_a_kind
def template(request: HttpRequest, kind: type[Kind]) -> HttpResponse:
    """An empty file with its columns and one example. Nothing of anybody is in it, so nobody records it."""
    if request.method not in READING_METHODS:
        return HttpResponseNotAllowed(READING_METHODS)
    if not kind.may_export(request.user):
        raise PermissionDenied
    response = HttpResponse(transfer.template(kind), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{kind.slug}-template.csv"'
    return response


def urls() -> list[URLPattern]:
    view = site.admin_view
    return [
        path("data/", view(index), name=PAGE),
        path("data/<slug:kind>/", view(one), name=KIND),
        path("data/<slug:kind>/export/", view(proof.required(export)), name=EXPORT),
        path("data/<slug:kind>/template/", view(template), name=TEMPLATE),
    ]


site.register_entries(Entry(_("Data in and out"), f"admin:{PAGE}", "config.view_export", Part.OVERSIGHT))
