package uwsgiconf

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gowsgi/gowsgi/internal/settings"
)

// Fate is what becomes of an option.
type Fate int

// The fates.
const (
	Kept     Fate = iota // a setting has its place
	Needless             // nothing is lost: it is so here in any case, or says nothing
	Lost                 // the application is served without it; a warning
	Refused              // without it the server would not do what the file says
)

// Note says what became of an option, and why.
type Note struct {
	Option
	Fate Fate
	Text string
	// Implied: no option says so, uWSGI does it without being told.
	Implied bool
}

// Conversion is what a configuration comes to.
type Conversion struct {
	App    string // the application's spec; "": the file names none
	Values *settings.Values
	Notes  []Note // one for each option, in order, and for what uWSGI does without being told
	// Options is what the file says, as the module uwsgi shows it to applications: an
	// option that is there several times has all its values.
	Options map[string][]string
}

// Err is the first of the options that are refused, as an *Error, else nil.
func (c *Conversion) Err() error {
	for _, n := range c.Notes {
		if n.Fate == Refused {
			return &Error{n.Place, n.Name, n.Text}
		}
	}
	return nil
}

// Warnings says what is lost, each with its place.
func (c *Conversion) Warnings() []string {
	var all []string
	for _, n := range c.Notes {
		if n.Fate == Lost {
			all = append(all, fmt.Sprintf("%s: %s: %s", n.Place, n.Name, n.Text))
		}
	}
	return all
}

// Convert says what options come to.
func Convert(options []Option) *Conversion {
	c := &converter{made: &Conversion{Values: &settings.Values{}, Options: map[string][]string{}}, last: map[string]Option{}}
	for _, o := range options {
		c.last[o.Name] = o
		c.made.Options[o.Name] = append(c.made.Options[o.Name], o.Value)
	}
	for _, o := range options {
		c.made.Notes = append(c.made.Notes, Note{Option: o})
		c.note = &c.made.Notes[len(c.made.Notes)-1]
		c.convert(o)
	}
	c.note = nil
	c.finish()
	return c.made
}

// converter is a Conversion under way.
type converter struct {
	made     *Conversion
	last     map[string]Option
	note     *Note // of the present option; nil at the end
	isNumber bool  // the present option is one: what follows it was looked at

	module, file, callable Option
	binds                  []bind
	protocol               string // of --socket
	lists                  map[string][]string
}

// convert decides about one option.
func (c *converter) convert(o Option) {
	rule, ok := rules[o.Name]
	takesValue, isKnown := known()[o.Name]
	switch {
	case o.settled:
		c.say(Needless, "")
	case !isKnown && !ok:
		c.placeholder(o)
	case strings.Contains(o.Value, "$(") && (rule.set != nil || rule.fate == Kept):
		name, _, _ := strings.Cut(o.Value[strings.Index(o.Value, "$(")+2:], ")")
		c.say(Refused, fmt.Sprintf("the variable %s is not in the environment", name))
	case !takesValue && isKnown && !truth(o.Value) && !rule.negative:
		c.say(Needless, "off")
	case !ok:
		fate, text := family(o.Name)
		c.say(fate, text)
	case rule.set != nil:
		c.isNumber = false
		if rule.set(c, o); c.note.Fate == Kept && !c.isNumber && takesValue && commented.MatchString(o.Value) {
			c.add(Lost, "a comment behind a value is part of it, as with uWSGI")
		}
	default:
		c.say(rule.fate, rule.text)
	}
	if o.brackets {
		c.add(Lost, fmt.Sprintf("uWSGI knows no brackets in %%(...), and makes %q of it", o.Value))
	}
}

var commented = regexp.MustCompile(`\s[;#]\s`)

func (c *converter) placeholder(o Option) {
	switch {
	case o.placeholder || o.used:
		c.say(Needless, "a placeholder")
	default:
		c.say(Lost, "uWSGI has no such option"+suggestion(o.Name)+", and nothing uses it as a placeholder")
	}
}

func (c *converter) say(fate Fate, text string) {
	c.note.Fate, c.note.Text = fate, text
}

// add says something more of the present option, at least as bad as fate.
func (c *converter) add(fate Fate, text string) {
	c.note.Fate = max(c.note.Fate, fate)
	if c.note.Text != "" {
		text = c.note.Text + "; " + text
	}
	c.note.Text = text
}

// extra says something that belongs to no option.
func (c *converter) extra(name, value, text string) {
	c.made.Notes = append(c.made.Notes, Note{Option: Option{Name: name, Value: value}, Fate: Kept, Text: text, Implied: true})
}

// set gives a setting a value; the option refused if it cannot have it.
func (c *converter) set(o Option, name string, value any) {
	s := settings.Lookup(name)
	if err := c.made.Values.Set(s, value, o.Name+" in "+o.Place.String()); err != nil {
		c.add(Refused, strings.TrimPrefix(err.Error(), o.Name+" in "+o.Place.String()+": "))
	}
}

// append adds to a setting that is a list.
func (c *converter) append(o Option, name string, values ...string) {
	if c.lists == nil {
		c.lists = map[string][]string{}
	}
	c.lists[name] = append(c.lists[name], values...)
	c.set(o, name, c.lists[name])
}

// number reads a number as uWSGI does: what follows it is not looked at.
func (c *converter) number(o Option) int {
	n, rest := leadingNumber(o.Value)
	c.isNumber = true
	if rest = strings.TrimSpace(rest); rest != "" && rest[0] != ';' && rest[0] != '#' {
		c.add(Lost, fmt.Sprintf("uWSGI takes %q for %d", o.Value, n))
	}
	if n < 0 {
		c.add(Refused, "it must not be negative")
	}
	return n
}

// path is where a file or folder lies that uWSGI looks for after chdir.
func (c *converter) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return absolute(filepath.Join(c.last["chdir"].Value, name))
}

// finish sets what depends on several options.
func (c *converter) finish() {
	c.application()
	c.sockets()
	c.processes()
	c.logging()
	v := c.made.Values
	c.extra("uwsgi-module", "", "applications find a module uwsgi; leave it out if none imports that")
	c.setDefault("uwsgi_module", true)
	if !v.IsSet("timeout") && c.last["harakiri"].Name == "" {
		c.extra("timeout", "0", "without harakiri uWSGI has no limit")
		c.setDefault("timeout", "0")
	}
}

// setDefault sets what uWSGI does without being told.
func (c *converter) setDefault(name string, value any) {
	if err := c.made.Values.Set(settings.Lookup(name), value, "uWSGI's default"); err != nil {
		panic("uwsgiconf: " + err.Error()) // a constant of this package
	}
}

// application finds the spec.
func (c *converter) application() {
	callable := c.callable.Value
	switch {
	case c.module.Name != "":
		c.made.App = withCallable(c.module.Value, callable)
		if c.file.Name != "" {
			c.later(c.file, Needless, "uWSGI serves "+c.module.Name)
		}
	case c.file.Name != "":
		c.made.App = c.fileSpec(c.file.Value)
	}
	if mounts := c.made.Values.List("mounts"); c.made.App == "" && len(mounts) > 0 && !c.on("no-default-app") {
		_, spec, _ := strings.Cut(mounts[0], "=")
		c.made.App = spec
		c.extra("mount", mounts[0], "serves what no mount does too, as the first one does with uWSGI")
	}
}

// later changes the note of an option that was gone over already.
func (c *converter) later(o Option, fate Fate, text string) {
	for i := range c.made.Notes {
		if n := &c.made.Notes[i]; n.Option == o {
			c.note = n
			c.add(fate, text)
			c.note = nil
			return
		}
	}
}

func withCallable(module, callable string) string {
	if callable == "" || strings.Contains(module, ":") {
		return module
	}
	return module + ":" + callable
}

// fileSpec is the spec of an application in a file.
func (c *converter) fileSpec(path string) string {
	callable := c.last["callable"].Value
	if callable == "" {
		callable = "application"
	}
	return "file:" + path + ":" + callable
}

// on tells whether a switch is.
func (c *converter) on(name string) bool {
	o, ok := c.last[name]
	return ok && truth(o.Value)
}

// processes decides how many, and whether they are forked from one that has the
// application.
func (c *converter) processes() {
	v := c.made.Values
	most := v.Int("workers")
	if least, ok := c.last["cheaper"]; ok && most > 1 {
		n, _ := leadingNumber(least.Value)
		start := n
		if initial, ok := c.last["cheaper-initial"]; ok {
			start, _ = leadingNumber(initial.Value)
		}
		if n = max(n, 1); n < most {
			from := least.Name + " in " + least.Place.String()
			for name, value := range map[string]int{"min_workers": n, "max_workers": most, "workers": min(max(start, n), most)} {
				if err := v.Set(settings.Lookup(name), float64(value), from); err != nil {
					c.later(least, Refused, err.Error())
				}
			}
		}
	}
	if !c.on("lazy-apps") && !c.on("lazy") && most > 1 {
		c.extra("preload", "", "without lazy-apps uWSGI imports the application once and forks")
		c.setDefault("preload_app", true)
	}
	if _, ok := c.last["gevent"]; ok && v.Int("threads") <= 1 {
		c.setDefault("threads", float64(greenThreads))
	}
}

// greenThreads stand in for greenlets.
const greenThreads = 64
