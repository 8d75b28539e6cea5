package uwsgiconf

import "strings"

// blank is what uWSGI strips.
const blank = " \t\r"

// parseINI calls option for each option of a section. There are no comments behind
// a value, and no continued lines.
func parseINI(lines []line, section string, option func(name, value string, number int) error, _ func(int, string) error) error {
	current := ""
	for _, l := range lines {
		text := strings.Trim(l.text, blank)
		switch {
		case text == "" || text[0] == ';' || text[0] == '#':
		case text[0] == '[':
			current = text[1:max(1, len(text)-1)]
		case current == section:
			name, value, _ := strings.Cut(text, "=")
			if err := option(strings.TrimRight(name, blank), strings.Trim(value, blank), l.number); err != nil {
				return err
			}
		}
	}
	return nil
}
