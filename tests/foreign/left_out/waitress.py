"""Tests of waitress that gowsgi fails on purpose, and why."""

from __future__ import annotations

from . import Table

WORDS = "the words of an error's body are waitress's own"
CHUNKED = "an answer of unknown length to HTTP/1.1 is chunked (RFC 9112, 6.3); waitress closes the connection"
WHOLE = "a list is known whole, so its length is sent (PEP 3333, Handling the Content-Length Header)"
BEFORE = "the application failed before anything was sent, so the answer is 500 (PEP 3333, Error Handling)"
GARBAGE = "what follows the request is no request line: 400; to waitress it is a head that is too large"

TABLE: Table = {
    "*EchoTests.test_broken_chunked_encoding_*": WORDS,
    "*InternalServerErrorTests.test_after_start_response_*": WORDS,
    "*InternalServerErrorTests.test_before_start_response_*": WORDS,
    "*InternalServerErrorTestsWithTraceback.*": WORDS,
    "*InternalServerErrorTests.test_after_write_cb": BEFORE,
    "*InternalServerErrorTests.test_in_generator": BEFORE,
    "*ExpectContinueTests.test_expect_continue": (
        "the body came with the head, so 100 may be left out (RFC 9110, 10.1.1)"
    ),
    "*FileWrapperTests.test_filelike_longcl_http11": (
        "the application promises more than its file has: the answer ends short and the connection with it; "
        "waitress corrects the length"
    ),
    "*FileWrapperTests.test_notfilelike_nocl_http11": CHUNKED,
    "*NoContentLengthTests.test_http10_listlentwo": WHOLE,
    "*NoContentLengthTests.test_http11_generator": CHUNKED,
    "*NoContentLengthTests.test_http11_listlentwo": WHOLE,
    "*TooLargeTests.test_request_body_too_large_chunked_encoding": (
        "a chunk extension without a name (RFC 9112, 7.1.1): 400 before the size is reached"
    ),
    "*TooLargeTests.test_request_body_too_large_with_no_cl_http10_keepalive": GARBAGE,
    "*TooLargeTests.test_request_body_too_large_with_no_cl_http11": GARBAGE,
    "*TooLargeTests.test_request_body_too_large_with_wrong_cl_http10_keepalive": GARBAGE,
    "*TooLargeTests.test_request_body_too_large_with_wrong_cl_http11": GARBAGE,
    "*TooLargeTests.test_request_headers_too_large_http11": (
        "fields are limited in size and number, as gunicorn's, not in their sum"
    ),
    "*EchoTests.test_keepalive_http10_explicit": "Connection: keep-alive spelt Keep-Alive; it is case-insensitive",
    "*EchoTests.test_proxy_headers": (
        "clear_untrusted_proxy_headers, which gowsgi has not: X-Forwarded-Port, of which it makes no use "
        "here, reaches the application as any field"
    ),
}
