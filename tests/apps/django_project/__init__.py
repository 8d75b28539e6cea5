"""A Django project in few files: admin on sqlite, an upload, a stream."""
