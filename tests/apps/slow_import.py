"""Takes a while to import."""

import sys
import time

from specs import make_app

print("importing", file=sys.stderr, flush=True)
time.sleep(1.5)
app = make_app("slow")
