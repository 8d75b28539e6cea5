// Package bridge is the room between sockets and an application: it accepts
// connections, reads whole requests off them, queues those for executors, and
// writes the answers back. It knows HTTP but neither WSGI nor Python: an
// executor is anything that implements [Executor].
//
// What may enter: connection life, limits, deadlines, queueing, draining,
// counters, and the flat types that other rooms exchange ([Request], [Record],
// [Exchange]). What may not: cgo, the rules of PEP 3333 (package wsgi), and the
// bytes of a protocol (packages below this one, such as bridge/http1, which do
// no I/O).
//
// One request's way through:
//
//	conn (goroutine)          reads head and body, Prepare fills x.Record
//	   Pool.Submit(x)         bounded queue
//	executor (locked thread)  x.Respond, x.Write..., x.Finish
//	conn                      x.Next, framing, write with deadlines
package bridge
