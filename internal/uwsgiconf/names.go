package uwsgiconf

import (
	_ "embed"
	"strings"
	"sync"
)

// options.txt has the names of uWSGI's options, those of its plugins too; "?" after
// one says that it takes no value.
//
//go:embed options.txt
var optionsText string

// known maps a name to whether it takes a value. It is made when it is asked for: a
// worker never does.
var known = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for name := range strings.Lines(optionsText) {
		name = strings.TrimSpace(name)
		m[strings.TrimSuffix(name, "?")] = !strings.HasSuffix(name, "?")
	}
	return m
})

// nearest is the option that a misspelt one may have been meant for; "" for none.
func nearest(name string) string {
	most := 2
	if len(name) < 6 { // short names are near to many
		most = 1
	}
	best, least := "", most+1
	for candidate := range known() {
		if d := distance(name, candidate); d < least || d == least && d <= most && candidate < best {
			best, least = candidate, d
		}
	}
	return best
}

// distance is how many letters are to be put in, left out or changed, or swapped
// with the next.
func distance(a, b string) int {
	if len(a)-len(b) > 2 || len(b)-len(a) > 2 {
		return 3
	}
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		older := before
		before, row = row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := 1
			if a[i] == b[j] {
				change = 0
			}
			row[j+1] = min(before[j]+change, before[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
