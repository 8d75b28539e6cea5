package bridge

import (
	"sync/atomic"
	"time"
)

type dated struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[dated]

// httpDate returns now as an IMF-fixdate (RFC 9110, 5.6.7), formatted once a
// second.
func httpDate(now time.Time) string {
	second := now.Unix()
	if d := lastDate.Load(); d != nil && d.second == second {
		return d.text
	}
	d := &dated{second, now.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}
	lastDate.Store(d)
	return d.text
}
