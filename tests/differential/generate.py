"""Makes requests: mostly right, in places wrong, by a grammar and then by mutation."""

from __future__ import annotations

import random

METHODS = [b"GET", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND", b"M-SEARCH"]
ODD_METHODS = [
    b"CONNECT",
    b"get",
    b"Post",
    b"GE",
    b"FOO",
    b"G!T",
    b"GET\t",
    b"(GET)",
    b"",
    b"A" * 21,
    b"G\xcbT",
    b"PRI",
    b"QUERY",
]
TARGETS = [b"/", b"/a/b?c=d", b"/%7e?%20", b"/?", b"//a/b", b"/a;b=c", b"http://e.org/x?y", b"/a:b@c", b"/~!$&'()*+,;="]
ODD_TARGETS = [
    b"*", b"http://e.org", b"HTTPS://e:8/?a", b"e.org:443", b"[::1]:80", b"http://u@e/", b"http://", b"ftp://e/",
    b"a/b",
    b"/a b", b"/\xe9", b"/a#b", b"/\x00", b"/\x7f", b"/\"<>\\^`{|}", b"", b"?a", b"/a\tb", b"http://e:99999/",
    b"http:///a",
    b"http://[::1]/", b"http://[::g]/", b"/a\rb", b"/a\x0cb", b"/%zz", b"http:/e/", b"ws://e/",
]  # fmt: skip
ODD_VERSIONS = [
    b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.01", b"HTTP/1", b"http/1.1", b"HTTP/1,1",
    b"HTTP/1.1 ",
    b"", b"HTTP/1.a", b"HTTPS/1.1", b"ICE/1.0", b"RTSP/1.0", b"HTTP/3.1",
]  # fmt: skip
HOSTS = [b"e.org", b"e.org:80", b"[::1]:8000", b"127.0.0.1", b"my_app", b"a%20b"]
ODD_HOSTS = [
    b"",
    b"a b",
    b"a/b",
    b"u@e",
    b"e:99999",
    b"e:x",
    b"[::g]",
    b"a,b",
    b"\xe9",
    b'a"b',
    b":80",
    b"e#f",
    b"[::1",
]
NAMES = [
    b"A",
    b"X-Forwarded-For",
    b"Cookie",
    b"Accept",
    b"If-None-Match",
    b"User-Agent",
    b"Referer",
    b"X!#$%&'*+.^_`|~9",
]
ODD_NAMES = [
    b"",
    b"A ",
    b" A",
    b"A\t",
    b"A\xe9",
    b"A(",
    b"A B",
    b"A\x00",
    b"\tA",
    b"A/B",
    b'A"',
    b"A;b",
    b"@",
    b"A\r",
    b"A\x7f",
]
VALUES = [b"b", b"", b'a, b;c="d"', b"x" * 40, b"\xe9\xff", b"a \t b", b"1", b"*/*;q=0.8"]
ODD_VALUES = [
    b"a\x00b",
    b"a\rb",
    b"\x0b",
    b"a\x7f",
    b"a\x01",
    b"a\r\n b",
    b"a\r\n\tb",
    b"\x0c",
    b"\x85",
    b"\r",
    b"a\nb",
    b"\xa0x\xa0",
]
LENGTHS = [
    b"+5", b"-5", b"0x5", b"5,5", b"5, 5", b"5,6", b"5 5", b"", b"05", b"0" * 19 + b"5", b"0" * 24,
    b"99999999999999999999", b"1_0", b"5.0", b"\xb2", b"5;a",
    b"18446744073709551621", b"9223372036854775808", b"5\r\n 5", b"\"5\"", b"5a", b"0",
]  # fmt: skip
CODINGS = [
    b"Chunked", b"chunked ", b"chunked\t", b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"gzip",
    b"identity", b"xchunked",
    b"chunked;a=b", b"", b",chunked", b"chunked,", b"\x0bchunked", b"\"chunked\"", b"chunked\x00",
    b"chunked, identity",
    b"identity, chunked", b"chunk ed", b"\r\n chunked",
]  # fmt: skip
CONNECTIONS = [
    b"close",
    b"keep-alive",
    b"Close",
    b"keep-alive, close",
    b"x",
    b"Upgrade",
    b"a,close",
    b"clos",
    b"close\t,b",
    b"",
]
ENDS = [b"\n", b"\r", b"\r\r\n", b" \r\n", b"\n\r", b"\x0b\r\n", b"\x85\r\n"]
SIZES = [
    b"0x%x",
    b"+%x",
    b"-%x",
    b" %x",
    b"%x ",
    b"%x\t",
    b"0%x",
    b"00000000000000000%x",
    b"1000000000000000%x",
    b"%xg",
    b"",
    b"_%x",
    b"%x,",
    b"8000000000000000",
]
EXTENSIONS = [b";a", b";a=b", b';a="b c"', b" ; a = b", b";a;b=c", b';a="\\""', b"\t;a"]
ODD_EXTENSIONS = [
    b";", b";;a", b";a=", b";=b", b";a b", b";a\x00", b";a=\"b", b" a", b";a\rb", b";a\nb", b";\xe9", b";a=b=c",
    b";a=\"\n\"", b";a ", b";a=\"b\"c", b";(",
]  # fmt: skip
TRAILERS = [b"T: u", b"Expires: now", b"Vary:*"]
ODD_TRAILERS = [
    b"Content-Length: 5",
    b"Host: x",
    b"T : u",
    b" T: u",
    b"T",
    b": u",
    b"T: \x00",
    b"Transfer-Encoding: chunked",
    b"T: a\rb",
    b"T\xe9: u",
    b"T: u\r\n v",
]
SPLICES = [
    b"\r", b"\n", b"\r\n", b" ", b"\t", b"\x00", b":", b";", b",", b"\xff", b"\x7f", b"\x0b", b"0", b"1", b"a",
    b"\"", b"\\", b"/", b"#", b"?", b"@", b"%",
    b"\r\n\r\n", b"0\r\n\r\n", b"Host: e\r\n", b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n",
    b"GET / HTTP/1.1\r\n", b"HTTP/1.1", b"Expect: 100-continue\r\n",
    b"chunked",
]  # fmt: skip
NEXT = b"GET /next HTTP/1.1\r\nHost: e\r\n\r\n"


class Generator:
    """A stream of inputs that a seed determines."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.oddness = 0.0

    def inputs(self, count: int) -> list[bytes]:
        """The next inputs."""
        return [self.input() for _ in range(count)]

    def input(self) -> bytes:
        """One to three requests on one connection."""
        # A third is well-formed, most of the rest wrong in about one place.
        self.oddness = self.random.choice([0.0, 0.04, 0.04, 0.04, 0.12, 0.12])
        data = b"".join(self.request() for _ in range(self.random.choice([1, 1, 1, 2, 3])))
        if self.random.random() < 0.3:
            data += NEXT
        if self.random.random() < 0.25:
            for _ in range(self.random.choice([1, 1, 1, 2, 3])):
                data = self.mutate(data)
        return data

    def odd(self) -> bool:
        return self.random.random() < self.oddness

    def pick(self, good: list[bytes], odd: list[bytes]) -> bytes:
        return self.random.choice(odd if self.odd() else good)

    def end(self) -> bytes:
        """A line end. There are many, so that odd ones have to be rare."""
        return self.random.choice(ENDS) if self.odd() and self.odd() else b"\r\n"

    def request(self) -> bytes:
        choice, chance = self.random.choice, self.random.random
        minor = b"0" if chance() < 0.1 else b"1"
        version = self.pick([b"HTTP/1." + minor], ODD_VERSIONS)
        space = b" " if not (self.odd() and self.odd()) else choice([b"  ", b"\t", b"", b"\x0b", b"\xa0"])
        method, target = self.pick(METHODS, ODD_METHODS), self.pick(TARGETS, ODD_TARGETS)
        if method == b"CONNECT" and chance() < 0.7:
            target = b"e.org:443"
        line = method + space + target + space + version
        lines = [b"Host:" + self.space() + self.pick(HOSTS, ODD_HOSTS)] * (choice([0, 2]) if self.odd() else 1)
        for _ in range(choice([0, 0, 1, 2, 4])):
            lines.append(
                self.pick(NAMES, ODD_NAMES) + b":" + self.space() + self.pick(VALUES, ODD_VALUES) + self.space(True)
            )
        if chance() < 0.2:
            lines.append(b"Connection: " + choice(CONNECTIONS))
        if chance() < 0.06:
            lines.append(
                b"Expect: " + self.pick([b"100-continue", b"100-Continue"], [b"200-ok", b"", b"100-continue, x"])
            )
        if chance() < 0.06:
            lines += [b"Content-Type: a/b"] * (2 if self.odd() else 1)
        if chance() < 0.04:
            lines.append(b"Upgrade: websocket")
        if self.odd():
            lines.append(choice([b"A b", b"A", b" folded", b"\tfolded", b"A b: c", b"\x00"]))
        framing, body = self.body()
        lines += framing
        self.random.shuffle(lines)
        leading = choice([b"\r\n", b"\r\n\r\n", b"\n", b"\r"]) if self.odd() else b""
        head = leading + line + self.end() + b"".join(line + self.end() for line in lines)
        return head + self.end() + body

    def space(self, behind: bool = False) -> bytes:
        return self.random.choice([b"", b"", b"", b" ", b"\t "] if behind else [b" ", b" ", b" ", b"", b" \t"])

    def body(self) -> tuple[list[bytes], bytes]:
        """Framing fields, and a body that most often is framed so."""
        choice, chance = self.random.choice, self.random.random
        data = choice([b"", b"hello", b"0\r\n\r\n", NEXT, b"\x00\xff" * 8])
        kind = chance()
        if kind < 0.4:
            return [], b""
        if kind < 0.65:
            length = choice(LENGTHS) if self.odd() else b"%d" % len(data)
            framing = [b"Content-Length:" + self.space() + length]
        else:
            coding = choice(CODINGS) if self.odd() else b"chunked"
            name = (
                choice([b"Transfer-Encoding ", b"Transfer_Encoding", b"Transfer-Encoding\t"])
                if self.odd() and self.odd()
                else b"Transfer-Encoding"
            )
            framing, data = [name + b":" + self.space() + coding], self.chunked(data)
        if self.odd():
            framing.append(
                choice([framing[0], b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Content-Length: 0"])
            )
        return framing, data

    def chunked(self, data: bytes) -> bytes:
        choice, chance = self.random.choice, self.random.random
        out = b""
        while data:
            size = self.random.randint(1, len(data))
            piece, data = data[:size], data[size:]
            out += (
                self.size_line(len(piece))
                + piece
                + (choice([b"", b"\n", b"\r", b"x\n", b"\rx", b"x\r\n", b"\r\n\r\n"]) if self.odd() else b"\r\n")
            )
        out += self.size_line(0)
        if chance() < 0.2 or self.odd():
            out += self.pick(TRAILERS, ODD_TRAILERS) + self.end()
        return out + self.end()

    def size_line(self, size: int) -> bytes:
        form = self.random.choice(SIZES) if self.odd() else self.random.choice([b"%x", b"%x", b"%X"])
        line = form % size if b"%" in form else form
        if self.random.random() < 0.15:
            line += self.pick(EXTENSIONS, ODD_EXTENSIONS)
        return line + self.end()

    def mutate(self, data: bytes) -> bytes:
        """Changes one place."""
        rnd = self.random
        at = rnd.randrange(len(data) + 1)
        kind = rnd.randrange(6)
        if kind == 0:
            return data[:at] + data[at + 1 :]
        if kind == 1:
            return data[:at] + bytes([rnd.randrange(256)]) + data[at + 1 :]
        if kind == 2:
            return data[:at] + rnd.choice(SPLICES) + data[at + rnd.randrange(2) :]
        if kind == 3:
            end = at + rnd.randrange(20)
            return data[:end] + data[at:]
        if kind == 4 and rnd.random() < 0.3:
            return data[:at]
        return data[:at] + rnd.choice(SPLICES) + data[at:]
