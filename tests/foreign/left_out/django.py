"""Tests of Django that fail when its requests go through gowsgi, and why that is right."""

from __future__ import annotations

import os

from . import Table

EAGER = "the test client leaves the response's iterator to the test; a server reads it to its end"
CLOSE = "Connection: close in a request is heeded (RFC 9112, 9.6); Django's development server ignores it"
ROOT = "root may read and write whatever the mode says"
SOCKET = "about the socket of Django's development server, which is gowsgi's here"

TABLE: Table = {
    "handlers.tests.HandlerRequestTests.test_async_streaming": EAGER,
    "handlers.tests.SignalsTests.test_request_signals_streaming_response": EAGER,
    "servers.test_liveserverthread.LiveServerThreadTest.test_server_class": SOCKET,
    "servers.tests.LiveServerPort.test_port_bind": SOCKET,
    "servers.tests.LiveServerViews.test_closes_connection_without_content_length": (
        "an answer of unknown length is chunked and the connection kept; Django's development server closes it"
    ),
    "servers.tests.LiveServerViews.test_keep_alive_connection_clears_previous_request_data": CLOSE,
    "servers.tests.LiveServerViews.test_keep_alive_on_connection_with_content_length": CLOSE,
    "view_tests.tests.test_static.StaticHelperTest.test_chunked": EAGER,
    "view_tests.tests.test_static.StaticTests.test_chunked": EAGER,
}
APPS: Table = {
    "auth_tests.test_views.PasswordResetTest.test_poisoned_http_host*": (
        "the Host is none (it has user information): gowsgi answers 400 (RFC 9112, 3.2) before Django does"
    ),
}
MORE: Table = {}
if os.geteuid() == 0:
    TABLE["file_uploads.tests.DirectoryCreationTests.test_readonly_root"] = ROOT
    MORE["template_tests.test_loaders.FileSystemLoaderTests.test_permissions_error"] = ROOT
    APPS["i18n.test_compilation.PoFileTests.test_no_write_access"] = ROOT
