// Package stats tells how a server does in the form of uWSGI's stats server, so that
// uwsgitop and the exporters that read it work: one JSON document a connection.
// Recorder counts in a worker, Serve tells in the master. How the figures get from
// the one to the other may not enter.
package stats
