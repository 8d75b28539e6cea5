package settings

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	names, flags := map[string]bool{}, map[string]string{"h": "help", "help": "help"}
	for i := range All {
		s := &All[i]
		if names[s.Name] {
			t.Errorf("%s is there twice", s.Name)
		}
		names[s.Name] = true
		for _, f := range s.Flags {
			if other := flags[f]; other != "" {
				t.Errorf("--%s is %s's and %s's", f, other, s.Name)
			}
			flags[f] = s.Name
		}
		if len(s.Flags) > 0 && s.Usage == "" {
			t.Errorf("%s has no usage", s.Name)
		}
		if s.State != Works && s.Note == "" {
			t.Errorf("%s is %s and does not say what to do instead", s.Name, s.State)
		}
		if takesValue := s.Kind != Bool; len(s.Flags) > 0 && takesValue != strings.Contains(s.Usage, "`") && s.Usage != "gunicorn's" {
			t.Errorf("%s: usage %q names a value: %t", s.Name, s.Usage, !takesValue)
		}
		if s.Default == nil && s.Kind != List {
			t.Errorf("%s has no default", s.Name)
		}
		if s.Kind == Dict {
			continue
		}
		if made, err := s.Value(toJSON(t, s.Default)); err != nil || !reflect.DeepEqual(made, s.Default) {
			t.Errorf("%s: its default %v is read as %v, %v", s.Name, s.Default, made, err)
		}
	}
}

// toJSON is what a value is after a way through JSON.
func toJSON(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestValues(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   any
		want any // a string that begins with ! is in the error
	}{
		{"workers", "4", 4}, {"workers", 4.0, 4}, {"workers", "0x10", 16}, {"workers", nil, 1},
		{"workers", "many", "!whole number"}, {"workers", 1.5, "!whole number"}, {"workers", 0.0, "!from 1 to 1000"},
		{"workers", "1001", "!from 1 to 1000"}, {"workers", []any{1.0}, "!whole number"},
		{"max_requests", "-1", "!negative"}, {"max_requests", true, 1},
		{"umask", "022", 0o22}, {"umask", "0o022", 0o22}, {"umask", 18.0, 18}, {"umask", "01000", "!from 0 to 511"}, {"umask", "rw", "!whole number"},
		{"socket_mode", "660", 0o660}, {"socket_mode", "0660", 0o660}, {"socket_mode", "0o660", 0o660}, {"socket_mode", 432.0, 0o660},
		{"socket_mode", "0", 0}, {"socket_mode", "1000", "!from 0 to 511"}, {"socket_mode", "680", "!from 0 to 511"}, {"socket_mode", "", "!whole number"},
		{"timeout", "2.5", 2.5}, {"timeout", "0", 0.0}, {"timeout", "NaN", "!number of seconds"}, {"timeout", "1e300", "!to 1e+09"},
		{"timeout", "-1", "!negative"}, {"timeout", "1e-10", "!at least 0.001"},
		{"queue_timeout", "0", "!from 0.001"},
		{"reload", "true", true}, {"reload", "False", false}, {"reload", 1.0, true}, {"reload", "perhaps", "!true or false"},
		{"bind", ":8000", []string{":8000"}}, {"bind", "a:1, unix:b", []string{"a:1", "unix:b"}}, {"bind", []any{"a", "b"}, []string{"a", "b"}},
		{"bind", []any{1.0}, "!list of texts"}, {"bind", 8000.0, "!list of texts"},
		{"raw_env", []string{"A=1,2"}, []string{"A=1,2"}},
		{"loglevel", "WARNING", "warning"}, {"loglevel", "loud", "!debug, info, warning, warn, error or critical"},
		{"proxy_protocol", true, "true"}, {"chdir", 5.0, "5"}, {"chdir", []any{}, "!text"},
		{"secure_scheme_headers", "A=b,C=d", map[string]any{"A": "b", "C": "d"}}, {"secure_scheme_headers", "A", "!NAME=VALUE"},
		{"secure_scheme_headers", map[string]any{"A": "b"}, map[string]any{"A": "b"}}, {"secure_scheme_headers", 1.0, "!dict"},
		{"when_ready", true, true},
	} {
		got, err := Lookup(tt.name).Value(tt.in)
		if text, ok := tt.want.(string); ok && strings.HasPrefix(text, "!") {
			if err == nil || !strings.Contains(err.Error(), text[1:]) {
				t.Errorf("%s = %v: %v, %v; want an error with %q", tt.name, tt.in, got, err, text[1:])
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s = %v: %#v, %v; want %#v", tt.name, tt.in, got, err, tt.want)
		}
	}
}

func set(t *testing.T, pairs ...string) *Values {
	t.Helper()
	v := &Values{}
	for i := 0; i < len(pairs); i += 2 {
		if err := v.Set(Lookup(pairs[i]), pairs[i+1], "--"+pairs[i]); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

func TestOver(t *testing.T) {
	low, high := set(t, "workers", "2", "threads", "3"), set(t, "workers", "5")
	v := low.Over(high)
	if v.Int("workers") != 5 || v.Int("threads") != 3 || v.Int("max_requests") != 0 || low.Int("workers") != 2 {
		t.Errorf("%+v", v)
	}
	if v.Where("threads") != "--threads" || v.Where("timeout") != "--timeout" || v.Where("wsgi_app") != "wsgi_app" {
		t.Errorf("%q %q", v.Where("threads"), v.Where("timeout"))
	}
	if v.Duration("timeout") != 30*time.Second {
		t.Errorf("timeout %v", v.Duration("timeout"))
	}
}

func TestThroughJSON(t *testing.T) {
	v := set(t, "workers", "5", "timeout", "1.5", "bind", "a,b", "secure_scheme_headers", "A=b", "reload", "true")
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back Values
	if err := json.Unmarshal(text, &back); err != nil || !reflect.DeepEqual(&back, v) {
		t.Errorf("%+v, %v; want %+v", back, err, v)
	}
	for _, bad := range []string{`{"values":{"nothing":1}}`, `{"values":{"workers":"x"}}`, `[]`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestEnvironment(t *testing.T) {
	env := map[string]string{"PORT": "5000", "WEB_CONCURRENCY": "3", "FORWARDED_ALLOW_IPS": ""}
	lookup := func(name string) (string, bool) { text, ok := env[name]; return text, ok }
	v, err := Environment(lookup)
	if err != nil || v.Int("workers") != 3 || !reflect.DeepEqual(v.List("bind"), []string{"0.0.0.0:5000"}) || v.String("forwarded_allow_ips") != "" {
		t.Errorf("%+v, %v", v, err)
	}
	env["WEB_CONCURRENCY"] = "many"
	if _, err := Environment(lookup); err == nil || !strings.HasPrefix(err.Error(), "WEB_CONCURRENCY: ") {
		t.Errorf("error %v", err)
	}
}

func TestProblems(t *testing.T) {
	if warnings, err := set(t, "workers", "4", "spew", "false").Problems(); len(warnings) > 0 || err != nil {
		t.Errorf("%q, %v", warnings, err)
	}
	if warnings, err := set(t, "spew", "true").Problems(); len(warnings) != 1 || !strings.HasPrefix(warnings[0], "--spew is ignored: ") || err != nil {
		t.Errorf("%q, %v", warnings, err)
	}
	if _, err := set(t, "paste", "x.ini").Problems(); err == nil || !strings.HasPrefix(err.Error(), "--paste is not supported: ") {
		t.Errorf("%v", err)
	}
}
