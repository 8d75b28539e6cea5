package master

import (
	"strings"
	"testing"
)

// TestScaler reads the seconds as words: a letter per worker, i(dle), b(usy) or w: a
// request has waited; a missing worker is late. "30*ii" is that many seconds alike.
func TestScaler(t *testing.T) {
	for _, tt := range []struct {
		name           string
		min, max, want int
		seconds        string
		after          int
	}{
		{"nothing happens", 1, 8, 1, "2*i", 1},
		{"all are busy, none waits", 1, 8, 2, "100*bb", 2},
		{"requests wait", 1, 8, 1, "3*w", 2},
		{"one of them has a queue", 1, 8, 2, "3*wi", 3},
		{"not long enough", 1, 8, 1, "2*w", 1},
		{"not in a row", 1, 8, 1, "2*w 1*b 2*w 1*i 2*w", 1},
		{"it goes on", 1, 8, 1, "3*w 3*ww", 3},
		{"one that is late does not end a row", 1, 8, 2, "1*ww 1*b 2*ww", 3},
		{"many grow by a quarter", 1, 100, 40, "3*w", 50},
		{"at most max", 1, 2, 2, "9*ww", 2},
		{"one step from max", 1, 10, 9, "3*w", 10},
		{"one is always idle", 1, 8, 3, "30*bib", 2},
		{"until a second before", 1, 8, 3, "29*bib", 3},
		{"not always idle", 1, 8, 3, "29*bib 1*bbb 29*bib", 3},
		{"waiting ends the calm", 1, 8, 3, "29*iii 1*iiw 29*iii", 3},
		{"late beats do not count as calm", 1, 8, 2, "40*i", 2},
		{"nor do they end it", 1, 8, 2, "20*ii 5*i 10*ii", 1},
		{"at least min", 2, 8, 2, "90*ii", 2},
		{"down one at a time", 1, 8, 3, "30*iii 29*ii", 2},
		{"down to one", 1, 8, 3, "30*iii 30*ii 30*i", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, got := &scaler{min: tt.min, max: tt.max}, tt.want
			for _, word := range strings.Fields(tt.seconds) {
				times, beats := parseSeconds(t, word)
				for range times {
					got = s.next(got, beats)
				}
			}
			if got != tt.after {
				t.Errorf("%d after %s, want %d", got, tt.seconds, tt.after)
			}
		})
	}
}

func parseSeconds(t *testing.T, word string) (times int, beats []Beat) {
	t.Helper()
	number, letters, ok := strings.Cut(word, "*")
	if !ok {
		t.Fatalf("%q is not TIMES*LETTERS", word)
	}
	for _, c := range number {
		times = times*10 + int(c-'0')
	}
	for _, c := range letters {
		beats = append(beats, map[rune]Beat{'i': {Wait: longWait - 1}, 'b': {Busy: 1}, 'w': {Busy: 1, Wait: longWait}}[c])
	}
	return times, beats
}
