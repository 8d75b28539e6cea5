// Package touch sees when files are touched (uWSGI's touch-reload). What happens then
// may not enter.
package touch

import (
	"os"
	"time"
)

// Watch calls touched with the name of a file whose time of change is another than
// before, or that is there when it was not, until stop is closed. It looks at the
// files once in every interval. A file that vanishes is waited for, as in uWSGI.
func Watch(files []string, interval time.Duration, stop <-chan struct{}, touched func(file string)) {
	seen := make([]time.Time, len(files))
	for i, file := range files {
		seen[i] = changed(file)
	}
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticks.C:
		}
		for i, file := range files {
			now := changed(file)
			if now.IsZero() || now.Equal(seen[i]) {
				continue
			}
			seen[i] = now
			touched(file)
		}
	}
}

// changed returns the zero time for a file that is not there.
func changed(file string) time.Time {
	info, err := os.Stat(file)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
