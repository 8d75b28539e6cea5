"""Runs Werkzeug's tests of its development server with gowsgi in its place. Arguments: GOWSGI...

They start `python live_apps/run.py NAME OPTIONS`; what is started is gowsgi with the
same application, on the same port.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recorder import write
from suite_pytest import Plugin


class Gowsgi(subprocess.Popen):
    """Starts gowsgi where Werkzeug's run.py is asked for."""

    def __init__(self, arguments, **options):
        """Start the process."""
        if len(arguments) == 4 and arguments[1].endswith("run.py"):
            folder = os.path.dirname(arguments[1])
            kwargs = json.loads(arguments[3])
            host = kwargs.get("hostname", "127.0.0.1")
            unix = host.startswith("unix://")
            bind = ["--bind", "unix:" + host.removeprefix("unix://") if unix else f"{host}:{kwargs['port']}"]
            environment = options["env"]
            paths = [folder, str(Path(__file__).parent), environment["PYTHONPATH"]]
            options["env"] = environment | {"FOREIGN_APP": arguments[2], "PYTHONPATH": os.pathsep.join(paths)}
            arguments = [*sys.argv[1:], "run", *bind, "werkzeug_app:app"]
        super().__init__(arguments, **options)


def main():
    """Run them."""
    subprocess.Popen = Gowsgi
    plugin = Plugin()
    os.chdir(os.environ["FOREIGN_SOURCE"])
    arguments = ["-p", "no:cacheprovider", "-q", "--tb=short", "-W", "ignore", "tests/test_serving.py"]
    pytest.main([*arguments, *json.loads(os.environ["FOREIGN_ARGUMENTS"])], plugins=[plugin])
    write(os.environ["FOREIGN_RESULTS"], plugin.results)


if __name__ == "__main__":
    main()
