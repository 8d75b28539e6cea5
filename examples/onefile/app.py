"""What `gowsgi build` makes one file of: Flask, and numpy for its native code."""

from __future__ import annotations

import platform
import sys

import numpy as np
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

app = Flask(__name__)


@app.get("/")
def index() -> ResponseReturnValue:
    """Say what answers, and from where."""
    return jsonify(python=platform.python_version(), numpy=np.__version__, prefix=sys.prefix)


@app.get("/solve/<numbers>")
def solve(numbers: str) -> ResponseReturnValue:
    """Solve a system of two equations, given as six numbers: native code has to run."""
    a, b, c, d, x, y = map(float, numbers.split(","))
    return jsonify(np.linalg.solve([[a, b], [c, d]], [x, y]).tolist())
