"""An application that takes its time to be imported."""

import os
import time

for _ in range(20_000):
    if os.path.exists(os.environ["GOWSGI_TEST_GO_ON"]):
        break
    time.sleep(0.001)


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"slow"]
