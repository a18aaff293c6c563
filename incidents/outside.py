"""The addresses that machines reach."""

from __future__ import annotations

from django.urls import path

from incidents import webhook

app_name = "outside"

urlpatterns = [
    path("intake/alertmanager", webhook.alertmanager, name="alertmanager"),
    path("calendar/<str:token>.ics", webhook.calendar, name="calendar"),
]
