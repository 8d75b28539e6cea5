"""pyembed's tests call functions; these are about what needs no Go."""

import datetime
import io
import marshal

import pytest

from gowsgi import calls


def ask(name, path, args=(), kwargs=None, tagged=False):
    request = marshal.dumps((name, path, tagged, list(args), kwargs or {}), calls.FORMAT)
    started = []
    body = calls.application({"wsgi.input": io.BytesIO(request)}, lambda *head: started.append(head))
    assert started == [("200 OK", [])]
    return marshal.loads(b"".join(body))


def test_call():
    assert ask("operator", "add", [1, 2]) == 3
    assert ask("json", "JSONEncoder.__name__.join", [["a", "b"]]) == "aJSONEncoderb"
    for path in ("", "no_such", "add."):
        with pytest.raises(AttributeError):
            ask("operator", path)


def test_plain_values_are_not_copied():
    for value in ([1, "a", None], (1, 2), {"a": b"b"}, "text"):
        assert calls.plain(value) is value


@pytest.mark.parametrize("offset", [0, 3600, -12 * 3600, 3661])
@pytest.mark.parametrize("year", [1, 1969, 1970, 2024, 9999])
def test_moments(year, offset):
    zone = datetime.timezone(datetime.timedelta(seconds=offset))
    moment = datetime.datetime(year, 6, 1, 1, 2, 3, 456789, zone)
    tag = calls.plain(moment)
    assert tag[:2] == (..., calls.TIME) and tag[3] == offset
    back = calls.revive([{"a": tag}])[0]["a"]
    assert (back, back.utcoffset()) == (moment, moment.utcoffset())


@pytest.mark.parametrize("microseconds", [0, -1, 10**15, -(10**15) - 7])
def test_durations(microseconds):
    span = datetime.timedelta(microseconds=microseconds)
    assert calls.plain([span]) == [(..., calls.DURATION, microseconds)]
    assert calls.revive((..., calls.DURATION, microseconds)) == span


class SummerTime(datetime.tzinfo):
    """An hour more from July on."""

    def utcoffset(self, moment):
        return datetime.timedelta(hours=1 if moment.month > 6 else 0)


def test_summer_time():
    """The difference of datetimes of one zone would be off by an hour."""
    summer = datetime.datetime(1970, 7, 1, 12, tzinfo=SummerTime())
    assert calls.plain(summer)[2:] == (181 * 86400 * 10**6 + 11 * 3600 * 10**6, 3600)
