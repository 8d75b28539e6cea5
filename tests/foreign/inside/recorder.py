"""A unittest result that keeps what became of each test, and writes it as JSON."""

from __future__ import annotations

import json
import unittest
from pathlib import Path


class Recorder(unittest.TextTestResult):
    """Keeps outcomes in `results`: by test, what became of it and the details.

    It is a class attribute, so that runners that make their own result objects share it.
    """

    results: dict[str, tuple[str, str]]

    def addSuccess(self, test):
        """Keep a success, unless a subtest failed."""
        super().addSuccess(test)
        self.results.setdefault(_name(test), ("passed", ""))

    def addError(self, test, err):
        """Keep an error."""
        super().addError(test, err)
        self.results[_name(test)] = ("error", self._exc_info_to_string(err, test))

    def addFailure(self, test, err):
        """Keep a failure."""
        super().addFailure(test, err)
        self.results[_name(test)] = ("failed", self._exc_info_to_string(err, test))

    def addSkip(self, test, reason):
        """Keep a skip."""
        super().addSkip(test, reason)
        self.results[_name(test)] = ("skipped", reason)

    def addExpectedFailure(self, test, err):
        """Keep a failure that the suite itself expects."""
        super().addExpectedFailure(test, err)
        self.results[_name(test)] = ("skipped", "the suite expects it to fail")

    def addUnexpectedSuccess(self, test):
        """Keep a success that the suite does not expect."""
        super().addUnexpectedSuccess(test)
        self.results[_name(test)] = ("failed", "unexpected success")

    def addSubTest(self, test, subtest, err):
        """Keep a failure of a part under the whole's name."""
        super().addSubTest(test, subtest, err)
        if err is not None:
            details = f"{subtest}\n{self._exc_info_to_string(err, test)}"
            self.results[_name(test)] = ("failed", details)


def write(path: str, results: dict[str, tuple[str, str]]) -> None:
    """Write the results, the file whole at once."""
    new = Path(f"{path}.new")
    new.write_text(json.dumps(results))
    new.rename(path)


def _name(test):
    return test.id() if hasattr(test, "id") else str(test)
