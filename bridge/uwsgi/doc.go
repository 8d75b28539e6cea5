// Package uwsgi is the wire format of the uwsgi protocol, by which web servers such
// as nginx (uwsgi_pass) and Apache (mod_proxy_uwsgi) hand requests on: a packet of
// CGI variables, then the body as raw bytes. One request a connection.
//
//	byte    modifier1: 0 a request, 30 one whose PATH_INFO still has SCRIPT_NAME, 100 a ping
//	uint16  size of what follows, little-endian
//	byte    modifier2
//	for each variable: uint16 length, name, uint16 length, value
//
// What may enter: pure functions of bytes, standard library only, no cgo. What may
// not: sockets, files, clocks, and what the variables mean to an application (that is
// package wsgi's).
package uwsgi
