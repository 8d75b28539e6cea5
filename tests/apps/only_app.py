"""Has `app` and no `application`."""

from specs import make_app

app = make_app("only app")
