// Package pyembed embeds CPython: it finds a libpython, opens it with dlopen,
// runs it on threads of its own, and calls WSGI applications in it. It is the only
// package with import "C".
//
// What may enter: whatever needs the C API. What may not: sockets, HTTP, and any
// call from Python into Go (see the rule below).
//
// The rules of the edge:
//
//   - Python runs only on threads that [Interpreter] started and that live as long
//     as the process: threading.get_ident() is the OS thread, and sqlite3, Django
//     and others check it. Thread 0 is CPython's main thread.
//   - A request costs one crossing when the application returns a list, one more
//     for each further chunk, and one for close().
//   - C never calls into Go: greenlet switches C stacks under it.
//   - Bytes go in as flat buffers and come out in memory that C owns until the
//     thread's next crossing; Go copies what it keeps.
//   - CPython is initialised once and never restarted: reload is a new process.
package pyembed
