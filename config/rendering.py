"""How form widgets are drawn: as Django draws them, choices without a template for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.forms.renderers import DjangoTemplates
from django.http import HttpRequest
from django.utils.html import conditional_escape, format_html
from django.utils.safestring import SafeString, mark_safe

SELECT, OPTION = "django/forms/widgets/select.html", "django/forms/widgets/select_option.html"


class Renderer(DjangoTemplates):
    """A template for each option of a filter's choices was a tenth of the time of a list."""

    def render(self, template_name: str, context: dict[str, Any], request: HttpRequest | None = None) -> SafeString:
        if template_name == SELECT and all(_is_plain(group) for group in context["widget"]["optgroups"]):
            return _select(context["widget"])
        return super().render(template_name, context, request)  # type: ignore[return-value]  # it is safe


def _is_plain(group: tuple[str | None, list[Any], int]) -> bool:
    _label, options, _number = group
    return all(option["template_name"] == OPTION for option in options)


def _select(widget: Mapping[str, Any]) -> SafeString:
    drawn = [format_html('<select name="{}"{}>', widget["name"], _attributes(widget["attrs"]))]
    for label, options, _number in widget["optgroups"]:
        if label:
            drawn.append(format_html('<optgroup label="{}">', label))
        drawn += [
            format_html('<option value="{}"{}>{}</option>', o["value"], _attributes(o["attrs"]), o["label"])
            for o in options
        ]
        if label:
            drawn.append(SafeString("</optgroup>"))
    return mark_safe("\n".join([*drawn, "</select>"]))  # noqa: S308 - each line is escaped where it is made


def _attributes(attrs: Mapping[str, Any]) -> SafeString:
    said = (
        f" {name}" if value is True else f' {name}="{conditional_escape(str(value))}"'
        for name, value in attrs.items()
        if value is not False
    )
    return mark_safe("".join(said))  # noqa: S308 - names are ours, values are escaped
