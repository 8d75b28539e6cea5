package uwsgiconf

import (
	"fmt"
	"strings"
)

// bind is a socket that uWSGI listens on.
type bind struct {
	Option
	protocol string // "": that of --protocol
	address  string
}

// listens makes a rule for an option that names a socket.
func listens(protocol string) func(*converter, Option) {
	return func(c *converter, o Option) {
		address := o.Value
		if protocol == "https" {
			parts := strings.Split(o.Value, ",")
			if len(parts) < 3 {
				c.say(Refused, "it must be ADDRESS,CERTIFICATE,KEY")
				return
			}
			address = parts[0]
			c.set(o, "certfile", c.path(parts[1]))
			c.set(o, "keyfile", c.path(parts[2]))
			if len(parts) > 3 && parts[3] != "" {
				c.add(Lost, "ciphers cannot be chosen")
			}
			if len(parts) > 4 {
				c.set(o, "ca_certs", c.path(strings.TrimPrefix(parts[4], "!")))
				c.set(o, "cert_reqs", map[bool]string{true: "2", false: "1"}[strings.HasPrefix(parts[4], "!")])
			}
		}
		switch {
		case strings.HasPrefix(address, "@"):
			c.say(Refused, "sockets in the abstract namespace are not listened on")
		case strings.HasPrefix(address, "="):
			c.say(Refused, "shared sockets are not there: name the address itself")
		case address == "":
			c.say(Refused, "the address is missing")
		default:
			c.binds = append(c.binds, bind{o, protocol, address})
		}
	}
}

// sockets sets --bind.
func (c *converter) sockets() {
	v := c.made.Values
	plain := false
	var all []string
	for _, b := range c.binds {
		protocol := b.protocol
		if protocol == "" {
			protocol = c.protocol
		}
		switch protocol {
		case "", "uwsgi":
			address := b.spell("uwsgi://", "uwsgi+unix:")
			all = append(all, address)
			if host, ok := strings.CutPrefix(address, "uwsgi://"); ok && !strings.HasPrefix(host, "127.") && !strings.HasPrefix(host, "[::1]") {
				c.later(b.Option, Lost, "packets are taken from this machine only: add --uwsgi-allow-from with the web server's address")
			}
		case "http", "http11":
			plain = true
			all = append(all, b.spell("", "unix:"))
		case "https":
			all = append(all, b.spell("", "unix:"))
		default:
			c.later(b.Option, Refused, fmt.Sprintf("the protocol %s is not spoken: HTTP and uwsgi are", protocol))
		}
	}
	if len(all) == 0 {
		return
	}
	first := c.binds[0]
	c.note = nil
	where := first.Name + " in " + first.Place.String()
	if err := v.Set(bindSetting, all, where); err != nil {
		c.later(first.Option, Refused, err.Error())
	}
	if v.IsSet("certfile") && plain {
		for _, b := range c.binds {
			if b.protocol == "https" {
				c.later(b.Option, Refused, "HTTP sockets are all HTTPS or none is: let a second server, or the proxy, have the others")
			}
		}
	}
}

// spell writes the address as --bind takes it: without a colon it is a path.
func (b bind) spell(tcp, unix string) string {
	switch {
	case strings.HasPrefix(b.address, "fd://"):
		return b.address
	case strings.HasPrefix(b.address, "/"), !strings.Contains(b.address, ":"):
		return unix + b.address
	}
	return tcp + b.address
}
