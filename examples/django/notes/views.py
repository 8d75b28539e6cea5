"""The page: it shows the notes, and takes another."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from notes.models import Note


def notes(request: HttpRequest) -> HttpResponse:
    """Show all, or add what a form has."""
    if request.method == "POST":
        Note.objects.create(text=request.POST.get("text", "")[:200])
        return redirect("/")
    return render(request, "notes.html", {"notes": Note.objects.order_by("-at")[:100]})
