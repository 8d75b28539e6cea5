package bridge

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// selfSigned returns a certificate for 127.0.0.1.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func withTLS(t *testing.T) setting {
	cert := selfSigned(t)
	return func(s *Server, _ *poolSetting) { s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} }
}

func TestTLS(t *testing.T) {
	h := start(t, func(x *Exchange) {
		_ = x.Respond(okHead(), []byte(x.Record.Lookup("scheme")+strings.Repeat("x", 100_000)), true)
	}, withTLS(t), func(s *Server, _ *poolSetting) {
		s.Prepare = func(r *Request, x *Exchange) error {
			x.Record = x.Record[:0].Append("scheme", r.Scheme)
			return nil
		}
	})
	client := http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for range 3 { // on one connection
		res, err := client.Get("https://" + h.addr)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.HasPrefix(string(body), "httpsx") || len(body) != 100_005 {
			t.Errorf("%.20q, %d bytes, %v", body, len(body), err)
		}
	}
}

// TestPlainOnTLS: a client that speaks HTTP to it is told.
func TestPlainOnTLS(t *testing.T) {
	h := start(t, hello, withTLS(t))
	res, err := (&http.Client{Timeout: patience}).Get("http://" + h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 400 || !strings.Contains(string(body), "https://") {
		t.Errorf("%d %q, %v", res.StatusCode, body, err)
	}
}

// TestTLSHandshakeTime: a client that connects and says nothing, or half of a
// hello, holds the connection for the time of a head only.
func TestTLSHandshakeTime(t *testing.T) {
	h := start(t, hello, withTLS(t), limits(func(l *Limits) { l.HeadTime = 100 * time.Millisecond }))
	for _, first := range []string{"", "\x16\x03\x01\x02\x00"} {
		c, err := net.Dial("tcp", h.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, first); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(patience))
		if _, err := io.ReadAll(c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Errorf("after %q: %v", first, err)
		}
	}
}

// TestTLSBehindProxyProtocol: the header comes in the clear, before the handshake.
func TestTLSBehindProxyProtocol(t *testing.T) {
	h := start(t, func(x *Exchange) { _ = x.Respond(okHead(), []byte(x.Record.Lookup("peer")), true) }, withTLS(t),
		func(s *Server, _ *poolSetting) {
			s.Proxy = &ProxyProtocol{V1: true, Allow: func(Endpoint) bool { return true }}
			s.Prepare = func(r *Request, x *Exchange) error {
				x.Record = x.Record[:0].Append("peer", r.Peer.Addr)
				return nil
			}
		})
	raw, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if _, err := io.WriteString(raw, "PROXY TCP4 192.0.2.7 192.0.2.1 5000 443\r\n"); err != nil {
		t.Fatal(err)
	}
	c := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	if got, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(got), "192.0.2.7") {
		t.Errorf("%q, %v", got, err)
	}
}
