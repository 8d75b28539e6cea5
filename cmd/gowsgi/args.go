package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/mattn/go-shellwords"
	"github.com/urfave/cli/v2"
)

// These are cli's flags that know their names. cli's own work them out, by a regular
// expression, whenever they are asked, and cli asks all of them for each one: that was
// half of a master's start.
type (
	boolFlag struct {
		*cli.BoolFlag
		names []string
	}
	listFlag struct {
		*cli.StringSliceFlag
		names []string
	}
	stringFlag struct {
		*cli.StringFlag
		names []string
	}
)

func (f *boolFlag) Names() []string   { return f.names }
func (f *listFlag) Names() []string   { return f.names }
func (f *stringFlag) Names() []string { return f.names }

// flagsOf makes the options of settings; without names, of all that have one.
func flagsOf(names ...string) []cli.Flag {
	var flags []cli.Flag
	for i := range settings.All {
		s := &settings.All[i]
		if len(s.Flags) == 0 || len(names) > 0 && !slices.Contains(names, s.Name) {
			continue
		}
		name, aliases := s.Flags[0], s.Flags[1:]
		hidden := s.State != settings.Works // gunicorn's: taken, but nobody should look for them
		switch s.Kind {
		case settings.Bool:
			flags = append(flags, &boolFlag{&cli.BoolFlag{Name: name, Aliases: aliases, Usage: s.Usage, Hidden: hidden}, s.Flags})
		case settings.List:
			flags = append(flags, &listFlag{&cli.StringSliceFlag{Name: name, Aliases: aliases, Usage: s.Usage, DefaultText: defaultText(s), Hidden: hidden}, s.Flags})
		default:
			flags = append(flags, &stringFlag{&cli.StringFlag{Name: name, Aliases: aliases, Usage: s.Usage, DefaultText: defaultText(s), Hidden: hidden}, s.Flags})
		}
	}
	return flags
}

func defaultText(s *settings.Setting) string {
	switch value := s.Default.(type) {
	case string:
		return value
	case int, float64:
		return fmt.Sprint(value)
	case []string:
		return strings.Join(value, ", ")
	}
	return ""
}

// flagValues returns the settings that a command line gave.
func flagValues(c *cli.Context) (*settings.Values, error) {
	v := &settings.Values{}
	for i := range settings.All {
		s := &settings.All[i]
		if len(s.Flags) == 0 || !c.IsSet(s.Flags[0]) {
			continue
		}
		var value any
		where := s.Flag()
		switch s.Kind {
		case settings.Bool:
			value = c.Bool(s.Flags[0])
			if s.Bare != nil { // such as --no-sendfile
				value = s.Bare
			}
		case settings.List:
			value = c.StringSlice(s.Flags[0])
		default:
			value = c.String(s.Flags[0])
			where += " " + c.String(s.Flags[0])
		}
		if err := v.Set(s, value, where); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// commandArgs is the variable that gunicorn reads further arguments from.
const commandArgs = "GUNICORN_CMD_ARGS"

// withEnvironmentArgs returns the settings of a command line, over those of
// GUNICORN_CMD_ARGS.
func withEnvironmentArgs(c *cli.Context) (*settings.Values, error) {
	typed, err := flagValues(c)
	if err != nil {
		return nil, err
	}
	text := os.Getenv(commandArgs)
	if text == "" {
		return typed, nil
	}
	words, err := shellwords.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", commandArgs, err)
	}
	var more *settings.Values
	inner := &cli.App{
		Flags: flagsOf(), HideHelp: true, DisableSliceFlagSeparator: true,
		ExitErrHandler: func(*cli.Context, error) {}, OnUsageError: func(_ *cli.Context, err error, _ bool) error { return err },
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 { // gunicorn takes no application from there
				return fmt.Errorf("%q is no option", c.Args().First())
			}
			more, err = flagValues(c)
			return err
		},
	}
	if err := inner.Run(append([]string{"gowsgi"}, reorder(flagNames(inner.Flags), words)...)); err != nil {
		return nil, fmt.Errorf("%s: %w", commandArgs, err)
	}
	return more.Over(typed), nil
}

// gatherFlags moves a command's flags before its arguments, splits values that are
// glued to a short flag and writes each flag by its long name: `run myapp:app
// -b:8000` is usual for gunicorn's users, whereas package flag stops at the first
// argument, and cli refuses one flag under two names.
func gatherFlags(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	for _, cmd := range app.Commands {
		if cmd.HasName(args[1]) {
			return append(args[:2:2], reorder(flagNames(cmd.Flags), args[2:])...)
		}
	}
	return args
}

// flagName is what a name on the command line stands for.
type flagName struct {
	long    string
	value   bool     // it takes one
	bare    string   // its value when none is given; "": it must be
	choices []string // with bare: what is a value
}

func flagNames(flags []cli.Flag) map[string]flagName {
	names := map[string]flagName{"h": {long: "help"}, "help": {long: "help"}}
	for _, f := range flags {
		takes := f.(cli.DocGenerationFlag).TakesValue() // all of cli's say so
		for _, name := range f.Names() {
			names[name] = flagName{long: f.Names()[0], value: takes}
		}
	}
	for i := range settings.All {
		s := &settings.All[i]
		if bare, ok := s.Bare.(string); ok && names[s.Flags[0]].value {
			names[s.Flags[0]] = flagName{long: s.Flags[0], value: true, bare: bare, choices: s.Choices}
		}
	}
	return names
}

// find looks up a flag as it was typed, without dashes. A long one may be cut short
// while it is clear which is meant, as gunicorn has it.
func find(names map[string]flagName, typed string, isLong bool) (flagName, bool) {
	if f, ok := names[typed]; ok || !isLong || typed == "" {
		return f, ok
	}
	var found flagName
	for name, f := range names {
		if len(name) > 1 && strings.HasPrefix(name, typed) {
			if found.long != "" && found.long != f.long {
				return flagName{}, false
			}
			found = f
		}
	}
	return found, found.long != ""
}

func reorder(names map[string]flagName, args []string) []string {
	var flags, rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			rest = append(rest, arg)
			continue
		}
		name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if short := arg[1:2]; arg[1] != '-' && len(arg) > 2 && names[short].value {
			name, value, given = short, strings.TrimPrefix(arg[2:], "="), true
		}
		f, known := find(names, name, strings.HasPrefix(arg, "--"))
		if known && !given && f.bare != "" && (i+1 == len(args) || !slices.Contains(f.choices, args[i+1])) {
			value, given = f.bare, true
		}
		switch {
		case !known:
			flags = append(flags, arg) // cli says that there is no such flag
		case f.long == "help":
			return []string{"--help"} // with an argument cli would look for a topic
		case given:
			flags = append(flags, "--"+f.long+"="+value)
		case !f.value:
			flags = append(flags, "--"+f.long)
		case i+1 == len(args):
			return append(flags, "--"+f.long) // nothing may stand in for its value
		default:
			i++
			flags = append(flags, "--"+f.long+"="+args[i])
		}
	}
	return append(append(flags, "--"), rest...)
}
