// Package settings is the one table of what can be set: gunicorn's settings under
// gunicorn's names, and this server's own. The command line, GUNICORN_CMD_ARGS, the
// configuration file, --print-config and the table in docs/gunicorn.md come from it.
// What a setting does may not enter.
package settings

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind is the type of a setting's value.
type Kind string

// The kinds, and the Go types of their values.
const (
	String  Kind = "str"   // string; "" for none
	Int     Kind = "int"   // int
	Seconds Kind = "float" // float64
	Bool    Kind = "bool"  // bool
	List    Kind = "list"  // []string
	Dict    Kind = "dict"  // map[string]any
	Hook    Kind = "hook"  // bool: the configuration file has it
)

// State is what becomes of a setting.
type State string

// The states. What is not Works says in its Note what to do instead.
const (
	Works   State = "works"
	Ignored State = "ignored" // with a warning
	Refused State = "refused"
)

// Setting is one thing that can be set.
type Setting struct {
	Name    string   // in the configuration file
	Flags   []string // without dashes, the long one first; nil: no flag
	Kind    Kind
	Default any
	Env     string // a variable that overrides the default
	Section string
	Usage   string // for the flag's help, its value's name in backquotes
	State   State
	Note    string // how it differs from gunicorn's, or what to do instead
	Ours    bool   // gunicorn does not have it
	Octal   bool   // of Int: a text such as 660 is octal, as chmod has it

	Min, Max float64  // of Int and Seconds; both 0: from 0 on
	Choices  []string // of String; nil: any
	Bare     any      // the value of the flag when it is given without one; nil: it takes one always
}

// All is every setting, in the order of gunicorn's documentation.
var All = slices.Concat(configFile, serverSocket, workerProcesses, security, debugging, mechanics,
	logging, naming, hooks, tls, http2, dirty, control, asgi, uwsgi)

var byName = func() map[string]*Setting {
	m := map[string]*Setting{}
	for i := range All {
		m[All[i].Name] = &All[i]
	}
	return m
}()

// Lookup returns the setting of a name, or nil.
func Lookup(name string) *Setting { return byName[name] }

// Flag is the setting's option as people type it, or its name if it has none.
func (s *Setting) Flag() string {
	if len(s.Flags) == 0 {
		return s.Name
	}
	return "--" + s.Flags[0]
}

// octal is a number as gunicorn's command line takes it too.
var octal = regexp.MustCompile(`^0[0-7]+$`)

// Value makes a setting's value of what a command line (a string, or several for a
// List) or a configuration file gave (what encoding/json makes of it).
func (s *Setting) Value(v any) (any, error) {
	if v == nil {
		return s.Default, nil // None in a configuration file
	}
	switch s.Kind {
	case String:
		return s.text(v)
	case Int, Seconds:
		return s.number(v)
	case Bool, Hook:
		switch v := v.(type) {
		case bool:
			return v, nil
		case string:
			switch strings.ToLower(strings.TrimSpace(v)) {
			case "true", "1", "yes", "on":
				return true, nil
			case "false", "0", "no", "off":
				return false, nil
			}
		case float64:
			return v != 0, nil
		}
		return nil, fmt.Errorf("it must be true or false, not %v", v)
	case List:
		return s.list(v)
	case Dict:
		if m, ok := v.(map[string]any); ok {
			return m, nil
		}
		if text, ok := v.(string); ok {
			return pairs(text)
		}
	}
	return nil, fmt.Errorf("it must be a %s, not %v", s.Kind, v)
}

func (s *Setting) text(v any) (any, error) {
	text, ok := v.(string)
	if n, isNumber := v.(float64); isNumber {
		text, ok = strconv.FormatFloat(n, 'f', -1, 64), true
	}
	if b, isBool := v.(bool); isBool && len(s.Choices) > 0 { // proxy_protocol = True
		text, ok = strconv.FormatBool(b), true
	}
	if !ok {
		return nil, fmt.Errorf("it must be a text, not %v", v)
	}
	if s.Choices == nil {
		return text, nil
	}
	text = strings.ToLower(text)
	if !slices.Contains(s.Choices, text) {
		return nil, fmt.Errorf("it must be %s", oneOf(s.Choices))
	}
	return text, nil
}

func (s *Setting) number(v any) (any, error) {
	n, ok := v.(float64)
	if text, isText := v.(string); isText {
		var err error
		text = strings.TrimSpace(text)
		if s.Octal && text != "" && strings.Trim(text, "01234567") == "" {
			text = "0" + text
		}
		n, err = parseNumber(text)
		ok = err == nil
	}
	if b, isBool := v.(bool); isBool && b {
		n, ok = 1, true
	} else if isBool {
		n, ok = 0, true
	}
	if !ok || math.IsNaN(n) || s.Kind == Int && n != math.Trunc(n) {
		kind := map[Kind]string{Int: "a whole number", Seconds: "a number of seconds"}[s.Kind]
		return nil, fmt.Errorf("it must be %s, not %v", kind, v)
	}
	least, most := s.Min, s.Max
	if most == 0 {
		most = 1 << 53
		if s.Kind == Seconds {
			most = maxSeconds
		}
	}
	switch {
	case n < least && s.Max == 0 && least == 0:
		return nil, fmt.Errorf("it must not be negative")
	case n < least && s.Max == 0:
		return nil, fmt.Errorf("it must be at least %v", least)
	case n < least || n > most:
		return nil, fmt.Errorf("it must be from %v to %v", least, most)
	}
	if s.Kind == Int {
		return int(n), nil
	}
	if n > 0 && n < minSeconds {
		return nil, fmt.Errorf("it must be at least %v seconds", minSeconds)
	}
	return n, nil
}

// What a time in seconds may be, beside 0: a millisecond to about 30 years.
const (
	minSeconds = 0.001
	maxSeconds = 1_000_000_000
)

func parseNumber(text string) (float64, error) {
	if octal.MatchString(text) && strings.Trim(text, "0") != "" {
		text = "0o" + text[1:]
	}
	if n, err := strconv.ParseInt(text, 0, 64); err == nil {
		return float64(n), nil
	}
	return strconv.ParseFloat(text, 64)
}

func (s *Setting) list(v any) (any, error) {
	switch v := v.(type) {
	case string:
		if v == "" {
			return []string(nil), nil
		}
		return splitList(v), nil
	case []string:
		return v, nil
	case []any:
		var all []string
		for _, one := range v {
			text, ok := one.(string)
			if !ok {
				return nil, fmt.Errorf("it must be a list of texts, not %v", v)
			}
			all = append(all, text)
		}
		return all, nil
	}
	return nil, fmt.Errorf("it must be a text or a list of texts, not %v", v)
}

// splitList: in a configuration file "a,b" is two, as gunicorn has it.
func splitList(text string) []string {
	var all []string
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one != "" {
			all = append(all, one)
		}
	}
	return all
}

// pairs reads NAME=VALUE,NAME=VALUE.
func pairs(text string) (map[string]any, error) {
	m := map[string]any{}
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q is not NAME=VALUE", pair)
		}
		m[name] = value
	}
	return m, nil
}

func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// Values are settings that were set. A zero Values is ready for reading.
type Values struct {
	values map[string]any
	where  map[string]string // what to call it in an error
}

// Set gives a setting a value; where is what an error calls it, such as "--bind" or
// "bind in gunicorn.conf.py". The value is as Setting.Value takes it.
func (v *Values) Set(s *Setting, value any, where string) error {
	made, err := s.Value(value)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	if v.values == nil {
		v.values, v.where = map[string]any{}, map[string]string{}
	}
	v.values[s.Name], v.where[s.Name] = made, where
	return nil
}

// Over returns these values with another's in front of them.
func (v *Values) Over(other *Values) *Values {
	all := &Values{values: map[string]any{}, where: map[string]string{}}
	for _, one := range []*Values{v, other} {
		maps.Copy(all.values, one.values)
		maps.Copy(all.where, one.where)
	}
	return all
}

// IsSet tells whether a setting has a value that is not its default.
func (v *Values) IsSet(name string) bool {
	value, ok := v.values[name]
	return ok && !reflect.DeepEqual(value, Lookup(name).Default)
}

// Has tells whether a setting was given a value, if only its default's.
func (v *Values) Has(name string) bool {
	_, ok := v.values[name]
	return ok
}

// Where is what to call a setting in an error: where it was set, else its flag.
func (v *Values) Where(name string) string {
	if where, ok := v.where[name]; ok {
		return where
	}
	return Lookup(name).Flag()
}

func (v *Values) get(name string) any {
	if value, ok := v.values[name]; ok {
		return value
	}
	return Lookup(name).Default
}

// String, Int, Float, Bool, List and Dict return a setting's value, its default if
// it was not set. Duration is Float as a time.
func (v *Values) String(name string) string {
	s, _ := v.get(name).(string)
	return s
}

// Int returns a setting of kind Int.
func (v *Values) Int(name string) int {
	n, _ := v.get(name).(int)
	return n
}

// Duration returns a setting of kind Seconds.
func (v *Values) Duration(name string) time.Duration {
	s, _ := v.get(name).(float64)
	return time.Duration(s * float64(time.Second))
}

// Bool returns a setting of kind Bool or Hook.
func (v *Values) Bool(name string) bool {
	b, _ := v.get(name).(bool)
	return b
}

// List returns a setting of kind List.
func (v *Values) List(name string) []string {
	l, _ := v.get(name).([]string)
	return l
}

// Dict returns a setting of kind Dict.
func (v *Values) Dict(name string) map[string]any {
	m, _ := v.get(name).(map[string]any)
	return m
}

// Complete returns every setting's value, as encoding/json takes it.
func (v *Values) Complete() map[string]any {
	all := map[string]any{}
	for _, s := range All {
		all[s.Name] = v.get(s.Name)
	}
	return all
}

// MarshalJSON and UnmarshalJSON carry the values from a master to its workers.
func (v *Values) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"values": v.values, "where": v.where})
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Values) UnmarshalJSON(text []byte) error {
	var in struct {
		Values map[string]any    `json:"values"`
		Where  map[string]string `json:"where"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*v = Values{}
	for name, value := range in.Values {
		s := Lookup(name)
		if s == nil {
			return fmt.Errorf("there is no setting %q", name)
		}
		if err := v.Set(s, value, in.Where[name]); err != nil {
			return err
		}
	}
	return nil
}

// Environment returns the values that environment variables give.
func Environment(lookup func(string) (string, bool)) (*Values, error) {
	v := &Values{}
	for i := range All {
		s := &All[i]
		if s.Env == "" {
			continue
		}
		text, ok := lookup(s.Env)
		if !ok || text == "" && s.Kind != String {
			continue
		}
		if s.Name == "bind" { // PORT
			text = "0.0.0.0:" + text
		}
		if err := v.Set(s, text, s.Env); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// Problems returns what was set in vain: warnings for what is ignored, and the
// error for what is refused.
func (v *Values) Problems() (warnings []string, err error) {
	for i := range All {
		s := &All[i]
		if s.State == Works || !v.IsSet(s.Name) {
			continue
		}
		if s.State == Refused {
			return nil, fmt.Errorf("%s is not supported: %s", v.Where(s.Name), s.Note)
		}
		warnings = append(warnings, fmt.Sprintf("%s is ignored: %s", v.Where(s.Name), s.Note))
	}
	return warnings, nil
}
