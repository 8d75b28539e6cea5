package uwsgiconf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// logic is an if or for that is open.
type logic struct {
	Place
	name   string
	values func(r *reader) ([]string, error)
}

// logics maps what begins a block to what %(_) is in it, once for each time that a
// line of it counts.
var logics = map[string]func(r *reader, argument string) ([]string, error){
	"for": func(_ *reader, argument string) ([]string, error) {
		return strings.FieldsFunc(argument, func(c rune) bool { return c == ' ' }), nil
	},
	"for-glob": func(r *reader, argument string) ([]string, error) {
		found, err := filepath.Glob(r.path(argument))
		if len(found) == 0 {
			return []string{argument}, err // as the shell has it, and uWSGI
		}
		for i, path := range found {
			if info, err := os.Stat(path); err == nil && info.IsDir() {
				found[i] += "/"
			}
			if !filepath.IsAbs(argument) {
				found[i] = strings.TrimPrefix(found[i], r.dir+"/")
			}
		}
		return found, err
	},
	"for-readline": func(r *reader, argument string) ([]string, error) {
		text, err := r.read(argument)
		var all []string
		for one := range strings.Lines(text) {
			all = append(all, strings.TrimRight(one, "\r\n"))
		}
		return all, err
	},
	"for-times": func(_ *reader, argument string) ([]string, error) {
		n, _ := leadingNumber(argument)
		if n > maxTimes {
			return nil, fmt.Errorf("more than %d times", maxTimes)
		}
		var all []string
		for i := range n {
			all = append(all, fmt.Sprint(i+1))
		}
		return all, nil
	},
}

const maxTimes = 10000

func init() {
	conditions := map[string]func(r *reader, argument string) (value string, is bool){
		"opt": func(r *reader, argument string) (string, bool) {
			name, want, compare := strings.Cut(argument, "=")
			o := r.find(name)
			if o == nil {
				return "%(_)", false
			}
			return o.Value, !compare || o.Value == want
		},
		"env": func(r *reader, argument string) (string, bool) {
			name, want, compare := strings.Cut(argument, "=")
			value, ok := r.env[name]
			if !ok {
				value = "%(_)"
			}
			return value, ok && (!compare || value == want)
		},
		"exists": func(r *reader, argument string) (string, bool) {
			_, err := os.Stat(r.path(argument))
			return argument, err == nil
		},
		"file": func(r *reader, argument string) (string, bool) {
			info, err := os.Stat(r.path(argument))
			return argument, err == nil && info.Mode().IsRegular()
		},
		"dir": func(r *reader, argument string) (string, bool) {
			info, err := os.Stat(r.path(argument))
			return argument, err == nil && info.IsDir()
		},
		"hostname": func(r *reader, argument string) (string, bool) { return argument, r.magic['h'] == argument },
		// A reload begins anew here, in a process of its own.
		"reload": func(*reader, string) (string, bool) { return "", false },
	}
	block := func(name string, condition func(*reader, string) (string, bool), want bool) {
		logics[name] = func(r *reader, argument string) ([]string, error) {
			if value, is := condition(r, argument); is == want {
				return []string{value}, nil
			}
			return nil, nil
		}
	}
	for name, condition := range conditions {
		block("if-"+name, condition, true)
		block("if-not-"+name, condition, false)
	}
	for alias, name := range map[string]string{"ifenv": "env", "ifexists": "exists", "ifdir": "dir", "if-directory": "dir"} {
		block(alias, conditions[name], true)
	}
	for _, name := range []string{"if-plugin", "if-not-plugin", "ifplugin", "if-hostname-match", "if-not-hostname-match"} {
		logics[name] = func(*reader, string) ([]string, error) {
			return nil, fmt.Errorf("this condition is not known here: there are no plugins, nor PCRE")
		}
	}
}

func (r *reader) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(r.dir, name)
}

// begin opens a block. uWSGI has none within another.
func (r *reader) begin(name, argument string, at Place) error {
	if r.logic != nil {
		return &Error{at, name, fmt.Sprintf("a block in another (that of line %d) is nothing that uWSGI knows", r.logic.Line)}
	}
	values := logics[name]
	r.options[len(r.options)-1].settled = true
	r.logic = &logic{Place: at, name: name, values: func(r *reader) ([]string, error) { return values(r, argument) }}
	return nil
}

// each calls take for a line of the block, as often as it counts. A condition is
// asked anew for each line, as uWSGI does.
func (l *logic) each(r *reader, value string, take func(value string) error) error {
	values, err := l.values(r)
	if err != nil {
		return &Error{l.Place, l.name, err.Error()}
	}
	for _, one := range values {
		if err := take(strings.ReplaceAll(value, "%(_)", one)); err != nil {
			return err
		}
	}
	return nil
}
