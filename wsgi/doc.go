// Package wsgi holds the request side of PEP 3333's rules in pure Go: what goes
// into an environ, under which key, in which form. The answer's side (what
// start_response accepts) is checked in package pyembed, inside the call, because
// the PEP wants such errors raised in the application.
//
// What may enter: tables and functions from bridge types to bridge types. What
// may not: I/O, cgo, state.
package wsgi
