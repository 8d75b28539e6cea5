"""A Django project that becomes one file: see gunicorn.conf.py and docs/onefile.md."""
