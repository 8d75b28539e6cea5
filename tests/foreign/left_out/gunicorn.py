"""Files of gunicorn's corpus that gowsgi takes otherwise, and why."""

from __future__ import annotations

from . import Table

HOST = "HTTP/1.1 without Host must be answered with 400 (RFC 9112, 3.2)"
SHORT = "the body is shorter than its Content-Length: incomplete (RFC 9112, 8)"
FOLDING = "obs-fold, which RFC 9112, 5.2, lets a server refuse; gunicorn needs permit_obsolete_folding to take it"
METHOD = "a method that is not 3 to 20 uppercase letters; gunicorn needs permit_unconventional_http_method to take it"
SPACES = "white space before a field's colon must be refused (RFC 9112, 5.1); gunicorn needs strip_header_spaces"
CODING = (
    "a transfer coding that is not understood is answered with 501 (RFC 9112, 6.1); gunicorn hands on the coded body"
)

VALID: Table = {
    **dict.fromkeys(
        "004 006 007 010 011 012 013 014 018 021 022 023 025 025_line 029 030 031 100 pp_02".split(),
        HOST,
    ),
    "005": "a fragment in the target, which no form of it allows (RFC 9112, 3.2)",
    "028": SPACES,
    "rfc9112_smuggle_gzip_chunked_01": CODING,
    "rfc9112_smuggle_te_identity_chunked_01": CODING,
    "rfc9112_target_absolute_userinfo_01": "user information in a target is an error (RFC 9110, 4.2.4)",
    "rfc9112_target_authority_connect_01": "CONNECT is for proxies; PEP 3333 has no form for it: 501",
    "rfc9112_target_authority_ipv6_01": "CONNECT is for proxies; PEP 3333 has no form for it: 501",
    "099": SHORT,
    "compat_obs_fold": FOLDING,
    "compat_obs_fold_huge": FOLDING,
    "031compat": METHOD,
    "031compat2": METHOD,
}
WITH_HOST: Table = dict.fromkeys("025 025_line 029 030".split(), CODING)
INVALID: Table = {}
