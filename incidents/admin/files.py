"""Files that are kept, as downloads."""

from __future__ import annotations

from django.http import HttpResponse

from incidents.models import Attachment


def as_file(attachment: Attachment) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="{attachment.name}"', "X-Content-Type-Options": "nosniff"}
    return HttpResponse(attachment.data, content_type=attachment.media_type, headers=headers)
