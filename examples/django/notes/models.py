"""What is kept."""

from django.db import models


class Note(models.Model):
    """A line of text."""

    text = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)
