"""The table: each way in which gowsgi and a peer may disagree, and why gowsgi does as it does."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from .compare import Disagreement

BOTH = ("h11", "llhttp")


@dataclass(frozen=True)
class Rule:
    """One row.

    Attributes:
        id: Its name.
        peers: Who disagrees.
        side: Who accepts: "peer", "gowsgi", "both" with different results, or "any"
            of these.
        cause: A pattern for what the refusing side says; for "both", the attribute.
        section: What decides.
        why: Why gowsgi's choice is right.
        holds: Says whether the input really is such a case, from its bytes alone.
    """

    id: str
    peers: tuple[str, ...]
    side: str
    cause: str
    section: str
    why: str
    holds: Callable[[Disagreement], bool]

    def explains(self, d: Disagreement) -> bool:
        """Whether the rule is about this disagreement."""
        if d.peer not in self.peers or self.side not in (side(d), "any"):
            return False
        return re.fullmatch(self.cause, d.differs or d.cause, re.DOTALL) is not None and self.holds(d)


def side(d: Disagreement) -> str:
    """Who accepts, or at least goes on reading."""
    if d.differs:
        return "both"
    return "peer" if d.ours == "refused" else "gowsgi"


_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = rb"(?:TOKEN|\"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*\")".replace(b"TOKEN", _TOKEN)
_EXTENSIONS = re.compile(
    rb"[0-9A-Fa-f]+(?:[ \t]*;[ \t]*TOKEN(?:[ \t]*=[ \t]*VALUE)?)*\r?".replace(b"TOKEN", _TOKEN).replace(
        b"VALUE", _VALUE
    )
)
_HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|(?:[-._~!$&'()*+,;=0-9A-Za-z]|%[0-9A-Fa-f]{2})+)(?::([0-9]*))?")
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_DROPPED_TRAILERS = re.compile(
    rb"^(?:content-length|transfer-encoding|host|te|trailer|connection|expect|upgrade)\s*:", re.I | re.M
)


def _is_host(value: bytes) -> bool:
    match = _HOST.fullmatch(value)
    if not match or int(match[2] or b"0") > 65535:
        return False
    if match[1] is None:
        return True
    try:
        ipaddress.IPv6Address(match[1].decode())
    except ValueError:
        return False
    return True


def _authority(target: bytes) -> bytes | None:
    match = re.match(rb"https?://([^/?]*)", target, re.I)
    return match[1] if match else None


def _control(d: Disagreement) -> bool:
    lines = [*d.lines[1:], *re.split(rb"\r?\n", d.trailer)]
    return any(_CONTROL.search(line) for line in lines)


def _bare_lf(d: Disagreement) -> bool:
    end = len(d.rest) - len(d.body)
    return any(re.search(rb"(?<!\r)\n", part) for part in (d.rest[:end], d.trailer))


def _wrong_extension(d: Disagreement) -> bool:
    return any(
        not _EXTENSIONS.fullmatch(line) for line in d.size_lines if b";" in line or b" " in line or b"\t" in line
    )


def _connection(d: Disagreement) -> list[bytes]:
    return [v.strip(b" \t").lower() for value in d.values(b"connection") for v in value.split(b",")]


def _start(d: Disagreement) -> bool:
    return re.match(rb"\r\n[\r\n]|\n|\r[^\n]|\r\Z", d.rest) is not None


def _lengths(d: Disagreement) -> list[bytes]:
    return d.values(b"content-length")


def _codings(d: Disagreement) -> list[bytes]:
    return d.values(b"transfer-encoding")


def _has_body(d: Disagreement) -> bool:
    return bool(_codings(d) or _lengths(d))


def _spaced_extension(d: Disagreement) -> bool:
    return any(_EXTENSIONS.fullmatch(line) and re.search(rb"[ \t]", line) for line in d.size_lines)


LLHTTP_METHODS = frozenset(
    b"DELETE GET HEAD POST PUT CONNECT OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND REBIND "
    b"UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE PATCH PURGE MKCALENDAR LINK "
    b"UNLINK SOURCE QUERY".split()
)

RULES = [
    # --- gowsgi refuses: the request line ---
    Rule("empty-lines", ("llhttp",), "peer", "no request line starts with this byte", "RFC 9112, 2.2",
         "One CRLF ahead of a request is to be skipped. More of them, or a CR or LF alone, is what remains of a body "
         "that was framed otherwise.", _start),
    Rule("method-form", ("h11",), "peer", "method is not a token of 3 to 20.*", "RFC 9110, 9.1",
         "Methods are case-sensitive and no registered one has lowercase letters, two letters or more than twenty; "
         "what has is a typing error or the middle of a body. gunicorn draws the same line.",
         lambda d: not re.fullmatch(rb"[!$%&'*+.^_`|~0-9A-Z-]{3,20}", d.method)),
    Rule("other-protocol", ("llhttp",), "peer", "malformed HTTP version", "RFC 9112, 2.3",
         "RTSP and ICE requests are not HTTP; llhttp reads them for Node's sake.",
         lambda d: re.fullmatch(rb"(?:RTSP|ICE)/[0-9]\.[0-9]", d.version) is not None),
    Rule("http-0.9", ("llhttp",), "peer", "request line is not method.*|malformed HTTP.*|line ended by LF.*",
         "RFC 9112, 2.3 and 3",
         "A request line without a version is HTTP/0.9's, which has neither fields nor framing; the version is not "
         "optional.",
         lambda d: not re.search(rb" HTTP/[0-9]\.[0-9]\Z", d.lines[0])),
    Rule("version-major", BOTH, "peer", "HTTP version other than 1.x", "RFC 9110, 15.6.6",
         "Other major versions are framed in other ways: 505.",
         lambda d: re.fullmatch(rb"HTTP/[02-9]\.[0-9]", d.version) is not None),
    Rule("target-byte", BOTH, "peer", "byte in the request target.*", "RFC 9112, 3.2; RFC 9110, 7.1",
         "White space, controls and bytes past ASCII have to be percent-encoded, and a fragment is not sent.",
         lambda d: re.search(rb"[^!-~]|#", d.target) is not None),
    Rule("target-form", BOTH, "peer", "request target in none of the four forms", "RFC 9112, 3.2",
         "Neither a path, nor an http(s) URI, nor one of the forms for CONNECT and OPTIONS.",
         lambda d: not re.match(rb"/|https?://|\*\Z", d.target, re.I)),
    Rule("target-star", BOTH, "peer", r"request target \* with a method.*", "RFC 9112, 3.2.4",
         "The asterisk is for OPTIONS alone.", lambda d: d.target == b"*" and d.method != b"OPTIONS"),
    Rule("target-authority", BOTH, "peer", "invalid authority in the request target", "RFC 9110, 4.2.1 and 4.2.4",
         "An empty or malformed host is invalid, and userinfo is to be taken for an attack.",
         lambda d: not _is_host(_authority(d.target) or b"")),
    Rule("connect-target", BOTH, "peer", "CONNECT without host:port|request line is not.*|malformed HTTP.*",
         "RFC 9112, 3.2.3",
         "CONNECT takes an authority with a port and nothing else.",
         lambda d: d.method == b"CONNECT" and not (_is_host(d.target) and re.search(rb":[0-9]+\Z", d.target))),
    # --- gowsgi refuses: fields ---
    Rule("host-invalid", BOTH, "peer", "invalid Host", "RFC 9112, 3.2",
         "A Host that is no host[:port] MUST be answered with 400; both peers leave that to their callers.",
         lambda d: any(v and not _is_host(v) for v in d.values(b"host"))),
    Rule("host-missing", BOTH, "peer", "HTTP/1.1 without Host", "RFC 9112, 3.2",
         "MUST be answered with 400. llhttp leaves it to its caller; h11 asks for it in 1.1, but not in the later "
         "minor versions, which are to be read as 1.1 (RFC 9110, 2.5).",
         lambda d: not d.values(b"host") and (d.peer == "llhttp" or d.version != b"HTTP/1.1")),
    Rule("host-twice", ("llhttp",), "peer", "more than one Host", "RFC 9112, 3.2",
         "MUST be answered with 400; llhttp leaves it to its caller.", lambda d: len(d.values(b"host")) > 1),
    Rule("fold", ("h11",), "peer", "field line starts with white space|malformed Transfer-Encoding|"
         "Content-Length is not.*|expectation.*|invalid Host", "RFC 9112, 5.2",
         "A server MUST refuse obs-fold or replace it by spaces: gowsgi refuses. Where the first line of a folded "
         "field "
         "is already wrong by itself, it says so.",
         lambda d: any(re.match(rb"[ \t]", line) for line in d.lines[1:] + d.trailer.split(b"\n"))),
    Rule("control", ("h11",), "peer", "control character in a field value", "RFC 9110, 5.5",
         "CR, LF and NUL MUST be refused or replaced, other controls are invalid, too.", _control),
    Rule("bare-lf", ("h11",), "peer", "line ended by LF without CR", "RFC 9112, 2.2",
         "A recipient MAY take LF alone for a line end; where two do not agree on it, the one sees a request that "
         "the other does not.",
         _bare_lf),
    Rule("content-type-twice", BOTH, "peer", "more than one Content-Type", "RFC 9110, 5.3 and 8.3",
         "No list, so two of them have no meaning; filters and applications would take different ones. gunicorn "
         "refuses them, too.",
         lambda d: len(d.values(b"content-type")) > 1),
    Rule("expectation", BOTH, "peer", "expectation other than.*", "RFC 9110, 10.1.1",
         "What is not understood may be answered with 417; nothing but 100-continue has a meaning.",
         lambda d: any(v.lower() != b"100-continue" for v in d.values(b"expect"))),
    # --- gowsgi refuses: framing ---
    Rule("length-twice", ("h11",), "peer", "more than one Content-Length", "RFC 9112, 6.3",
         "The same length twice may be taken for one, or refused: gowsgi refuses, since a list is where parsers "
         "differ.",
         lambda d: len(_lengths(d)) > 1),
    Rule("length-list", ("h11",), "peer", "Content-Length is not digits alone", "RFC 9112, 6.3",
         "The same length twice, as a list: see length-twice.",
         lambda d: any(re.fullmatch(rb"\s*([0-9]+)\s*(,\s*\1\s*)+", v) for v in _lengths(d))),
    Rule("length-range", BOTH, "peer", "Content-Length past 63 bits", "RFC 9110, 8.6",
         "A recipient MUST prevent overflows; no server can take such a body, which gowsgi says at once: 413.",
         lambda d: any(v.isdigit() and int(v) >= 1 << 63 for v in _lengths(d))),
    Rule("coding-1.0", BOTH, "peer", "Transfer-Encoding in HTTP/1.0", "RFC 9112, 6.1",
         "MUST be treated as faulty framing: an HTTP/1.0 proxy in between does not know the field.",
         lambda d: d.version == b"HTTP/1.0" and bool(_codings(d))),
    Rule("coding-and-length", ("h11",), "peer", "Transfer-Encoding together with.*", "RFC 9112, 6.3",
         "Ought to be handled as an error: it is how requests are smuggled. h11 lets the coding win.",
         lambda d: bool(_codings(d) and _lengths(d))),
    Rule("coding-list", ("llhttp",), "peer",
         "transfer coding other than.*|malformed Transfer-Encoding|chunked is not the last.*",
         "RFC 9112, 6.1 and 7",
         "Codings that are not known are to be answered with 501, and empty elements of the list are read in two "
         "ways. "
         "llhttp looks at the last word alone.",
         lambda d: [v.lower() for v in _codings(d)] != [b"chunked"]),
    # --- gowsgi refuses: chunked bodies ---
    Rule("chunk-size-space", ("h11",), "peer", "chunk size is not.*", "RFC 9112, 7.1",
         "No white space may follow a chunk size unless an extension does.",
         lambda d: any(re.match(rb"[0-9A-Fa-f]+[ \t]+\r?\Z", line) for line in d.size_lines)),
    Rule("chunk-size-range", BOTH, "peer", "chunk size past.*", "RFC 9112, 7.1",
         "Numerals may be large, and MUST not overflow: sixteen digits and 63 bits are as much as any body has.",
         lambda d: any(re.match(rb"[0-9A-Fa-f]{17}|[89A-Fa-f][0-9A-Fa-f]{15}", line) for line in d.size_lines)),
    Rule("chunk-extension", BOTH, "peer", "malformed chunk extension", "RFC 9112, 7.1.1",
         "gowsgi holds extensions to their grammar. llhttp is looser, and h11 skips to the end of the line: parsers "
         "that skip have disagreed on where that is.", _wrong_extension),
    Rule("chunk-line-cr", ("h11",), "peer", "CR without LF in a chunk size line", "RFC 9112, 2.2",
         "A bare CR MUST be refused or replaced outside of content.",
         lambda d: any(re.search(rb"\r(?!\Z)", line) for line in d.size_lines)),
    Rule("trailer-forbidden", BOTH, "peer", "field that must not be in a trailer", "RFC 9110, 6.5.1",
         "A sender must not: framing and routing fields behind the body are an attack. The peers hand them on.",
         lambda d: _DROPPED_TRAILERS.search(d.trailer) is not None),
    Rule("head-cut", ("h11",), "peer", ".*", "none",
         "The input ends inside a head of which gowsgi refuses a line as soon as it is complete; h11 looks at whole "
         "heads, "
         "and refuses it then.", lambda d: d.theirs == "more" and d.later),
    # --- gowsgi accepts ---
    Rule("leading-crlf", ("h11",), "gowsgi", "no request line received", "RFC 9112, 2.2",
         "A server SHOULD ignore at least one empty line ahead of a request: some clients send one behind a body.",
         lambda d: d.rest.startswith(b"\r\n")),
    Rule("chunk-extension-space", BOTH, "gowsgi", "illegal chunk header.*|Invalid character in chunk.*",
         "RFC 9112, 7.1.1; RFC 9110, 5.6.3",
         "White space around the semicolon is bad, but a recipient MUST parse it.", _spaced_extension),
    Rule("coding-tab", ("llhttp",), "gowsgi", "Request has invalid `Transfer-Encoding`",
         "RFC 9112, 5; RFC 9110, 5.6.3",
         "White space around a value is SP and HTAB alike, and no part of it; llhttp takes off SP alone.",
         lambda d: re.search(rb"^transfer-encoding:[ \t]*chunked[ \t]*\t[ \t]*\r?$", d.head, re.I | re.M) is not None),
    Rule("length-zeros", ("h11",), "gowsgi", "bad Content-Length", "RFC 9110, 8.6",
         "Any number of digits is a length, leading zeros among them; h11 counts twenty.",
         lambda d: any(v.isdigit() and len(v) > 20 and int(v) < 1 << 63 for v in _lengths(d))),
    Rule("method-unknown", ("llhttp",), "gowsgi",
         "(?:|Invalid method encountered|Expected HTTP/2 Connection Preface|Expected space after method)",
         "RFC 9110, 9.1",
         "Which methods exist is the application's to say: any token may be one. llhttp knows a list, and takes PRI "
         "for HTTP/2.",
         lambda d: re.fullmatch(_TOKEN, d.method) is not None and d.method not in LLHTTP_METHODS),
    Rule("version-minor", ("llhttp",), "gowsgi", "Invalid HTTP version", "RFC 9110, 2.5",
         "A higher minor version is to be read as the highest that is known.",
         lambda d: re.fullmatch(rb"HTTP/1\.[2-9]", d.version) is not None),
    Rule("cut", BOTH, "gowsgi", ".*", "none",
         "The input ends inside a line that the peer refuses (or skips) at once and gowsgi when it is complete.",
         lambda d: d.ours == "more" and d.later),
    # --- both accept ---
    Rule("keep-alive-1.0", ("h11",), "both", "keep", "RFC 9112, 9.3",
         "HTTP/1.0 clients may ask for a connection that stays. h11 closes it always, which is allowed, too.",
         lambda d: d.version == b"HTTP/1.0" and b"keep-alive" in _connection(d) and b"close" not in _connection(d)),
    Rule("close-wins", ("llhttp",), "both", "keep", "RFC 9112, 9.3",
         "close comes before keep-alive where both are said.",
         lambda d: {b"close", b"keep-alive"} <= set(_connection(d))),
    # --- any ---
    Rule("upgrade-body", ("llhttp",), "any", ".*", "RFC 9110, 7.8",
         "A request with Upgrade has its body like any other, before the protocol changes; llhttp leaves it unread.",
         lambda d: bool(d.values(b"upgrade")) and b"upgrade" in _connection(d) and _has_body(d)),
    Rule("connect-body", ("llhttp",), "any", ".*", "RFC 9110, 9.3.6",
         "CONNECT has no content. llhttp takes none; the parsers of gowsgi and h11 know no exception, and their "
         "servers refuse "
         "CONNECT and close.", lambda d: d.method == b"CONNECT" and _has_body(d)),
]  # fmt: skip


def explain(d: Disagreement) -> Rule | None:
    """The rule that explains a disagreement, None if there is none."""
    return next((rule for rule in RULES if rule.explains(d)), None)
