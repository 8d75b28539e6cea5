"""Says goodbye through atexit, as error reporters do to send what they still hold."""

import atexit
import sys

from specs import make_app

app = make_app("atexit")
atexit.register(lambda: print("goodbye from atexit", file=sys.stderr, flush=True))
