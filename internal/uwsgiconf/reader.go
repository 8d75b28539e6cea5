package uwsgiconf

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Format is how a file is written.
type Format int

// The formats.
const (
	INI Format = iota
	YAML
)

// Place is where an option stands. Without a File it came from the environment.
type Place struct {
	File string
	Line int
}

func (p Place) String() string {
	if p.File == "" {
		return "the environment"
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Option is one option as it was given, its value expanded.
type Option struct {
	Name, Value string
	Place
	// settled: uWSGI acted on it while it was reading. Its value is never expanded.
	settled bool
	// placeholder: set-placeholder made it.
	placeholder bool
	// used: a value refers to it.
	used bool
	// brackets: there were some in a %(...) of its value.
	brackets bool
}

// Error is why a file cannot be used, and where.
type Error struct {
	Place
	Option string // "": the file itself
	Reason string
}

func (e *Error) Error() string {
	if e.Option == "" {
		return fmt.Sprintf("%s: %s", e.Place, e.Reason)
	}
	return fmt.Sprintf("%s: %s: %s", e.Place, e.Option, e.Reason)
}

// Read returns the options that uWSGI would have from --ini or --yaml path: those of
// its environment (UWSGI_...), then those of the file and of what it includes, in
// order. path may end in ":SECTION"; relative ones start in dir, "" for the current
// folder. env is as os.Environ has it. Errors are *Error where there is a place.
func Read(path string, format Format, env []string, dir string) ([]Option, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &reader{dir: dir, env: map[string]string{}, magic: newMagic(dir)}
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		r.env[name] = value
		if err := r.fromEnvironment(name, value); err != nil {
			return nil, err
		}
	}
	if err := r.load(path, format, Place{}); err != nil {
		return nil, err
	}
	for _, pass := range []struct {
		symbol byte
		value  func(string) (string, bool, error)
	}{{'$', r.variable}, {'@', r.contents}, {'%', r.reference}} {
		for _, o := range r.options {
			if err := expand(o, pass.symbol, pass.value); err != nil {
				return nil, err
			}
		}
	}
	if err := r.inherit(); err != nil {
		return nil, err
	}
	all := make([]Option, len(r.options))
	for i, o := range r.options {
		all[i] = *o
		if _, ok := known()[o.Name]; !ok && r.strict && !o.placeholder {
			return nil, &Error{o.Place, o.Name, "uWSGI has no such option" + suggestion(o.Name) + ", and the file says strict"}
		}
	}
	return all, nil
}

func suggestion(name string) string {
	if near := nearest(name); near != "" {
		return " (did you mean " + near + "?)"
	}
	return ""
}

type reader struct {
	dir     string
	env     map[string]string
	magic   magic
	options []*Option
	strict  bool

	last    string // the file that was read last, which ":SECTION" is of
	started bool   // the first file was read
	depth   int    // of files in files
	files   int    // that were read
	logic   *logic // nil: outside of if and for
	counted bool   // a line of the block is being taken: what it includes just is
}

// fromEnvironment takes a variable such as UWSGI_HTTP_SOCKET.
func (r *reader) fromEnvironment(name, value string) error {
	rest, ok := strings.CutPrefix(name, "UWSGI_")
	if !ok || slices.Contains([]string{"RELOADS", "VASSALS_DIR", "EMPEROR_FD", "BROODLORD_NUM", "EMPEROR_FD_CONFIG",
		"EMPEROR_PROXY", "JAIL_PID", "ORIGINAL_PROC_NAME"}, rest) {
		return nil
	}
	return r.add(strings.ReplaceAll(strings.ToLower(rest), "_", "-"), value, Place{})
}

// Bounds of files that include each other, which uWSGI follows until it dies, and of
// what loops make.
const (
	maxDepth   = 32
	maxFiles   = 1000
	maxOptions = 100_000
)

// maxFile is more than any configuration has, in bytes.
const maxFile = 4 << 20

// load reads a file, or a section of the last one, into the options.
func (r *reader) load(path string, format Format, from Place) error {
	r.depth++
	if r.files++; r.depth > maxDepth || r.files > maxFiles {
		return &Error{from, "", "files include each other without end"}
	}
	defer func() { r.depth-- }()
	if strings.Contains(path, "://") || path == "-" {
		return &Error{from, "", fmt.Sprintf("%s: only files are read", path)}
	}
	file, section, _ := cutLast(path)
	if file == "" {
		file = r.last
		r.magic['x'] = section
	} else {
		r.magic.fill(file, section, r.dir, !r.started)
	}
	r.started = true
	text, err := r.read(file)
	if err != nil {
		if from.File == "" {
			return err
		}
		return &Error{from, "", err.Error()}
	}
	r.last = file
	if section == "" {
		section = "uwsgi"
	}
	parse := parseINI
	if format == YAML {
		parse = parseYAML
	}
	found := false
	err = parse(r.magic.lines(text), section, func(name, value string, number int) error {
		found = true
		return r.add(name, value, Place{file, number})
	}, func(number int, why string) error { return &Error{Place{file, number}, "", why} })
	if err == nil && !found {
		return &Error{Place{file, 1}, "", fmt.Sprintf("it has no section %q, or nothing in it", section)}
	}
	return err
}

func (r *reader) read(file string) (string, error) {
	if !filepath.IsAbs(file) {
		file = filepath.Join(r.dir, file)
	}
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	if info.Size() > maxFile {
		return "", fmt.Errorf("%s is too large for a configuration", file)
	}
	text, err := os.ReadFile(file)
	return string(text), err
}

// cutLast splits FILE:SECTION.
func cutLast(path string) (file, section string, found bool) {
	i := strings.LastIndexByte(path, ':')
	if i < 0 {
		return path, "", false
	}
	return path[:i], path[i+1:], true
}

// add takes an option as a file has it: what it says to do while reading is done.
func (r *reader) add(name, value string, at Place) error {
	switch name {
	case "end", "endfor", "endif", "end-if", "end-for":
		if !r.counted {
			r.logic = nil
		}
		return nil
	case "else":
		return &Error{at, name, "uWSGI 2.0 has no else: write an if-not-... block"}
	}
	if r.logic == nil || r.counted {
		return r.take(name, value, at)
	}
	r.counted = true
	defer func() { r.counted = false }()
	return r.logic.each(r, value, func(value string) error { return r.take(name, value, at) })
}

func (r *reader) take(name, value string, at Place) error {
	if len(r.options) == maxOptions {
		return &Error{at, name, "these are too many options"}
	}
	o := &Option{Name: name, Value: value, Place: at}
	r.options = append(r.options, o)
	act, ok := immediate[name]
	if !ok {
		if logics[name] != nil {
			return r.begin(name, value, at)
		}
		return nil
	}
	o.settled = true
	err := act(r, o)
	var placed *Error
	if err != nil && !errors.As(err, &placed) {
		return &Error{at, name, err.Error()}
	}
	return err
}

// immediate are the options that uWSGI acts on while it reads.
var immediate map[string]func(*reader, *Option) error

func init() {
	include := func(format Format) func(*reader, *Option) error {
		return func(r *reader, o *Option) error { return r.load(o.Value, format, o.Place) }
	}
	set := func(placeholder bool) func(*reader, *Option) error {
		return func(r *reader, o *Option) error {
			name, value, ok := strings.Cut(o.Value, "=")
			if !ok {
				return errors.New("it must be NAME=VALUE")
			}
			if err := r.take(name, value, o.Place); err != nil {
				return err
			}
			r.options[len(r.options)-1].placeholder = placeholder
			return nil
		}
	}
	immediate = map[string]func(*reader, *Option) error{
		"ini": include(INI), "yaml": include(YAML), "yml": include(YAML),
		"include": func(r *reader, o *Option) error { return r.byName(o) },
		"set":     set(false), "set-ph": set(true), "set-placeholder": set(true),
		"strict": func(r *reader, o *Option) error { r.strict = truth(o.Value); return nil },
	}
	for _, name := range []string{"xml", "xmlconfig", "json", "js", "config", "config-py", "sqlite", "sqlite3", "ldap", "zeus"} {
		immediate[name] = func(*reader, *Option) error {
			return errors.New("only ini and YAML are read: write the options in one of those")
		}
	}
	for _, name := range []string{"declare-option", "declare-option2", "blacklist", "whitelist", "end-blacklist", "end-whitelist",
		"inject-before", "inject-after", "resolve", "ini-paste", "ini-paste-logged", "extract"} {
		immediate[name] = func(*reader, *Option) error { return errors.New("it is not done here") }
	}
}

// byName reads a file in the format that its name tells.
func (r *reader) byName(o *Option) error {
	file, _, _ := cutLast(o.Value)
	switch filepath.Ext(file) {
	case ".ini":
		return r.load(o.Value, INI, o.Place)
	case ".yaml", ".yml":
		return r.load(o.Value, YAML, o.Place)
	}
	return fmt.Errorf("%s: only .ini, .yaml and .yml are read", o.Value)
}

// inherit reads the files that are read last, whose values uWSGI does not expand.
func (r *reader) inherit() error {
	for i := 0; i < len(r.options); i++ {
		if o := r.options[i]; o.Name == "inherit" && !o.settled {
			o.settled = true
			if err := r.byName(o); err != nil {
				var placed *Error
				if errors.As(err, &placed) {
					return err
				}
				return &Error{o.Place, o.Name, err.Error()}
			}
		}
	}
	return nil
}

// find returns the first option of a name, as uWSGI does.
func (r *reader) find(name string) *Option {
	for _, o := range r.options {
		if o.Name == name {
			return o
		}
	}
	return nil
}

// truth reads a switch: whatever is not a word for no is yes.
func truth(value string) bool {
	return !slices.Contains([]string{"false", "off", "no", "0"}, strings.ToLower(value))
}
