// Command oracle says how package http1 reads bytes, for the differential test.
//
// Standard input is any number of inputs, each a length (32 bits, big-endian) and as
// many bytes: all that a client sent on one connection. For each it prints a line
// of JSON: the requests, and what ended the reading. Text is latin-1, so that each
// byte is a character.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/gowsgi/gowsgi/bridge/http1"
)

type request struct {
	Start  int         `json:"start"` // where its bytes start in the input
	Method string      `json:"method"`
	Target string      `json:"target"`
	Minor  int         `json:"minor"`
	Fields [][2]string `json:"fields"`
	Length int64       `json:"length"` // Content-Length, -1 without
	Coded  bool        `json:"chunked"`
	Keep   bool        `json:"keep"`
	Body   string      `json:"body"`
}

type reading struct {
	Requests []request `json:"requests"`
	// End is "all" (nothing is left), "more" (a request is cut), "closed" (the last
	// request ends the connection) or "refused".
	End   string `json:"end"`
	Cause string `json:"cause"`
	// EndAt is where the reading ended: behind the last request.
	EndAt int `json:"end_at"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	r, w := bufio.NewReader(in), bufio.NewWriter(out)
	lines := json.NewEncoder(w)
	for {
		var size uint32
		err := binary.Read(r, binary.BigEndian, &size)
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		if err != nil {
			return fmt.Errorf("reading a length: %w", err)
		}
		data := make([]byte, size)
		if _, err := io.ReadFull(r, data); err != nil {
			return fmt.Errorf("reading an input: %w", err)
		}
		if err := lines.Encode(read(data)); err != nil {
			return fmt.Errorf("writing a reading: %w", err)
		}
	}
}

// read reads a connection's bytes without limits: those are a matter of taste, not
// of the RFCs, and tested elsewhere.
func read(data []byte) reading {
	all := reading{Requests: []request{}, End: "all"}
	var p http1.Parser
	for at := 0; at < len(data); {
		p.Reset(http1.Limits{})
		n, err := p.Parse(data[at:])
		if err != nil || n == 0 {
			all.stop(err)
			return all
		}
		q := newRequest(at, &p.Head)
		at += n
		body, n, err := readBody(data[at:], &p.Head)
		if err != nil || n < 0 {
			all.stop(err)
			return all
		}
		at += n
		q.Body = latin1(body)
		all.Requests = append(all.Requests, q)
		all.EndAt = at
		if !q.Keep {
			all.End = "closed"
			return all
		}
	}
	return all
}

func (r *reading) stop(err error) {
	r.End = "more"
	var e *http1.Error
	if errors.As(err, &e) {
		r.End, r.Cause = "refused", e.Cause
	}
}

func newRequest(start int, h *http1.Head) request {
	q := request{
		Start: start, Method: latin1(h.Method), Target: latin1(h.Target), Minor: h.Minor,
		Fields: [][2]string{}, Length: h.ContentLength, Coded: h.Chunked, Keep: h.KeepAlive,
	}
	for _, f := range h.Fields {
		q.Fields = append(q.Fields, [2]string{latin1(f.Name), latin1(f.Value)})
	}
	return q
}

// readBody returns the body and how many bytes it took, -1 when it is cut.
func readBody(data []byte, h *http1.Head) (body []byte, n int, err error) {
	if !h.Chunked {
		length := max(0, h.ContentLength)
		if length > int64(len(data)) {
			return nil, -1, nil
		}
		return data[:length], int(length), nil
	}
	var c http1.Chunked
	for n < len(data) {
		used, piece, done, err := c.Decode(data[n:])
		n += used
		body = append(body, piece...)
		if done || err != nil {
			return body, n, err
		}
	}
	return nil, -1, nil
}

func latin1(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}
