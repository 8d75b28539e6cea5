// Package service is how the server stands in its system: a pid file, systemd's
// notifications, the background, and whom the workers run as. Nothing of requests may
// enter.
package service

import (
	"fmt"
	"net"
	"os"
)

// Notify sends a state such as "READY=1" to systemd (sd_notify(3)), if that has
// started this process and asked for it.
func Notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	// A leading @ is an abstract address, for net as for systemd.
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("telling systemd %s: %w", state, err)
	}
	defer c.Close()
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("telling systemd %s: %w", state, err)
	}
	return nil
}
