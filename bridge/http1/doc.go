// Package http1 is a strict HTTP/1.1 engine without input or output: state
// machines that are handed bytes and hand back what the bytes mean.
//
// The request side is two of them. Parser reads one request head. Chunked
// decodes one chunked body. Both go forward only, keep their place as offsets
// or counters and never hold on to bytes, so the same code serves a goroutine
// that owns a connection and an event loop that is handed whatever arrived.
//
// What may enter: pure functions of bytes, standard library only, no cgo. What
// may not: sockets, files, goroutines, clocks, logging, pools, and what an
// application gets to see (WSGI's environ, dropped or renamed fields, forwarded
// addresses). A rule that needs to know who the peer is belongs a layer up.
//
// The measure of strictness: everything RFC 9112 tells a server to refuse is
// refused, everything gunicorn 27 refuses is refused, and where a message is
// legal but has two readings in the wild (that is what request smuggling is
// made of) it is refused too. The switches that relax it are gunicorn's, and
// off unless asked for (Permit).
package http1
