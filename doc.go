// Package gowsgi serves Python web applications (WSGI, PEP 3333) from within a Go
// program: [Load] gives an [http.Handler] that can stand beside handlers written in
// Go, behind Go middleware, on whatever server the program runs. It also calls plain
// Python functions: see [Import].
//
//	app, err := gowsgi.Load(ctx, gowsgi.Config{App: "myapp:app", Dir: "site", Threads: 4})
//	...
//	http.Handle("/", app)
//
// What a Python program sees is what it would see under `gowsgi run`: the same
// environ, the same rules. Request bodies are read whole before Python hears of a
// request, so that slow uploads hold no Python thread. What differs, as net/http
// decides it: an answer's reason phrase is Go's, and the Server field is up to the
// program.
//
// # One Python
//
// CPython lives once in a process and cannot be begun again. The first Load or Import
// starts it, with the Python, the threads and the queue that it asks for; all later
// ones share it. So applications of one process share their imported modules, their
// threads and the GIL. Closing applications leaves it running; [Shutdown] ends it.
//
// The program stays the program's: its signal handlers (what Python code sets with
// signal.signal is recorded and never run), its working folder (Dir goes on sys.path
// instead), its standard streams (wsgi.errors and print write to them).
//
// # Threads and contexts
//
// All of the package is safe for concurrent use. Python runs on threads of its own,
// Config.Threads of them; a request waits for one in a bounded queue. When a request's
// context ends, its handler stops waiting: one that waits in the queue never reaches
// Python; one that runs is left to itself, and its answer is dropped: the application
// gets to know when it next gives a piece of it, by a call of the iterable's close().
// Python code cannot be interrupted from outside, so what never returns keeps its
// thread.
//
// # Errors
//
// What the application raises is a [*pyembed.Error], with its traceback; the client
// gets a 500, or the connection cut if the answer had begun. It goes to Config.OnError
// and never becomes a Go panic. Panics of the program's own functions
// (Config.Environ) pass through ServeHTTP as those of any handler do. An answer that
// cannot be finished is ended by a panic with [http.ErrAbortHandler], net/http's way to
// make a client see it.
//
// Building needs cgo. Running needs a CPython from 3.10 to 3.14 with its shared library.
package gowsgi
