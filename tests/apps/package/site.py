"""An application inside a package."""

from specs import make_app

app = make_app("in a package")
