"""The addresses as the demo has them."""

from __future__ import annotations

from django.urls import include, path

from config.urls import urlpatterns as product

urlpatterns = [*product, path("demo/", include("reviews.demo.urls"))]
