"""The views and their addresses."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt, ensure_csrf_cookie
from django.views.decorators.http import require_POST

if TYPE_CHECKING:
    from collections.abc import Iterator


@ensure_csrf_cookie
def index(request: HttpRequest) -> HttpResponse:
    """Query the database."""
    users = get_user_model().objects.count()
    return JsonResponse({"users": users, "user": request.user.get_username()})


@csrf_exempt
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Take a file and tell its digest."""
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse({"size": file.size, "sha256": digest.hexdigest()})


@require_POST
def protected(_request: HttpRequest) -> HttpResponse:
    """Be reached only with a CSRF token."""
    return HttpResponse("passed")


def stream(_request: HttpRequest) -> HttpResponse:
    """Send five lines, a fifth of a second apart."""

    def lines() -> Iterator[str]:
        for number in range(5):
            yield f"line {number}\n"
            time.sleep(0.2)

    return StreamingHttpResponse(lines(), content_type="text/plain")


def fail(_request: HttpRequest) -> HttpResponse:
    """Fail."""
    msg = "the client must not see this"
    raise RuntimeError(msg)


urlpatterns = [
    path("", index),
    path("admin/", admin.site.urls),
    path("upload", upload),
    path("protected", protected),
    path("stream", stream),
    path("raise", fail),
]
