package http1

import (
	"strconv"
	"testing"
)

func TestFrame(t *testing.T) {
	for _, c := range []struct {
		name   string
		a      Answer
		want   Framing
		length int64
	}{
		{"declared", Answer{Status: 200, ContentLength: 5, BodyLength: -1, Minor: 1}, Length, 5},
		{"declared beats known", Answer{Status: 200, ContentLength: 5, BodyLength: 9, Minor: 1}, Length, 5},
		{"known whole", Answer{Status: 200, ContentLength: -1, BodyLength: 9, Minor: 1}, Length, 9},
		{"known empty", Answer{Status: 200, ContentLength: -1, BodyLength: 0, Minor: 1}, Length, 0},
		{"stream to 1.1", Answer{Status: 200, ContentLength: -1, BodyLength: -1, Minor: 1}, Coded, -1},
		{"stream to 1.0", Answer{Status: 200, ContentLength: -1, BodyLength: -1, Minor: 0}, ToClose, -1},
		{"204 drops a length", Answer{Status: 204, ContentLength: 3, BodyLength: 3, Minor: 1}, NoBody, -1},
		{"304 tells the declared length", Answer{Status: 304, ContentLength: 3, BodyLength: 0, Minor: 1}, NoBody, 3},
		{"304 has none of its own", Answer{Status: 304, ContentLength: -1, BodyLength: 0, Minor: 1}, NoBody, -1},
		{"HEAD tells the declared length", Answer{Status: 200, ContentLength: 7, BodyLength: 0, Head: true}, NoBody, 7},
		{"HEAD tells a known length", Answer{Status: 200, ContentLength: -1, BodyLength: 7, Head: true}, NoBody, 7},
		{"HEAD with nothing stays silent", Answer{Status: 200, ContentLength: -1, BodyLength: 0, Head: true}, NoBody, -1},
	} {
		if f, n := c.a.Frame(); f != c.want || n != c.length {
			t.Errorf("%s: Frame() = %d, %d; want %d, %d", c.name, f, n, c.want, c.length)
		}
	}
}

func TestAppendHead(t *testing.T) {
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	for _, c := range []struct {
		name string
		a    Answer
		want string
	}{
		{"1.1", Answer{Status: 200, Lines: []byte("200 OK\r\nA: b\r\n"), ContentLength: 2, Minor: 1},
			"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\nDate: " + date + "\r\nServer: s\r\n\r\n"},
		{"1.0 kept", Answer{Status: 200, Lines: []byte("200 OK\r\n"), ContentLength: 0, HasDate: true, HasName: true},
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"},
		{"1.0 stream", Answer{Status: 200, Lines: []byte("200 OK\r\n"), ContentLength: -1, BodyLength: -1, HasDate: true, HasName: true},
			"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"},
		{"chunked, closing", Answer{Status: 200, Lines: []byte("200 OK\r\n"), ContentLength: -1, BodyLength: -1, Minor: 1, Close: true, HasDate: true, HasName: true},
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"},
	} {
		f, n := c.a.Frame()
		if got := string(c.a.AppendHead(nil, f, n, date, "s")); got != c.want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestAppendChunkHead(t *testing.T) {
	for _, n := range []int{1, 9, 15, 16, 255, 256, 4095, 65536, 1 << 20} {
		want := strconv.FormatInt(int64(n), 16) + "\r\n"
		if got := string(AppendChunkHead(nil, n)); got != want {
			t.Errorf("AppendChunkHead(%d) = %q, want %q", n, got, want)
		}
	}
}
