"""Files of gunicorn's corpus that gowsgi takes otherwise, and why."""

from __future__ import annotations

from . import Table

HOST = "HTTP/1.1 without Host MUST be answered with 400 (RFC 9112, 3.2)"
SHORT = (
    "the connection ends before Content-Length bytes came: the request MUST be taken for incomplete, and the "
    "connection closed (RFC 9112, 6.3)"
)
FRAGMENT = (
    "a fragment in the target: no form of it allows one (RFC 9112, 3.2), and where recipients differ on whether it "
    "belongs to the path or the query, rules for paths are passed by (CVE-2023-45539, for which HAProxy refuses it)"
)
CODING = (
    "a transfer coding other than chunked is answered with 501 (RFC 9112, 6.1): gzip would reach the application "
    "still packed, without a field that says so, and identity is no coding any more (RFC 9112, 7), so that proxies "
    "read it in different ways"
)
USER = "user information in a target is to be treated as an error (RFC 9110, 4.2.4)"
CONNECT = (
    "CONNECT asks for a tunnel, which the application's 200 would announce: such an answer MUST NOT have "
    "Content-Length or Transfer-Encoding (RFC 9110, 9.3.6), and PEP 3333 has no form for it: 501"
)

HOSTLESS = (
    "004 005 006 007 010 011 012 013 014 018 021 022 023 025 025_line 028 029 030 031 031compat 031compat2 100 "
    "compat_obs_fold_huge pp_02"
)
VALID: Table = {
    **dict.fromkeys(HOSTLESS.split(), HOST),
    "rfc9112_smuggle_gzip_chunked_01": CODING,
    "rfc9112_smuggle_te_identity_chunked_01": CODING,
    "rfc9112_target_absolute_userinfo_01": USER,
    "rfc9112_target_authority_connect_01": CONNECT,
    "rfc9112_target_authority_ipv6_01": CONNECT,
    "099": SHORT,
}
WITH_HOST: Table = dict.fromkeys("025 025_line 029 030".split(), CODING) | {"005": FRAGMENT}
INVALID: Table = {}
