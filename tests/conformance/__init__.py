"""Black-box conformance suite for WSGI servers: PEP 3333, RFC 9112 and RFC 9110 over raw sockets."""
