package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// gatherFlags moves a command's flags before its arguments, and splits values that
// are glued to a short flag: `run myapp:app -b:8000` is usual for gunicorn's users,
// whereas package flag stops at the first argument.
func gatherFlags(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	for _, cmd := range app.Commands {
		if cmd.HasName(args[1]) {
			return append(args[:2:2], reorder(valueFlags(cmd.Flags), args[2:])...)
		}
	}
	return args
}

// valueFlags maps the names of flags to whether they take a value.
func valueFlags(flags []cli.Flag) map[string]bool {
	takes := map[string]bool{}
	for _, f := range flags {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			takes[name] = !isBool
		}
	}
	return takes
}

func reorder(takes map[string]bool, args []string) []string {
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
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if short := arg[1:2]; arg[1] != '-' && len(arg) > 2 && takes[short] {
			flags = append(flags, "-"+short, strings.TrimPrefix(arg[2:], "="))
			continue
		}
		flags = append(flags, arg)
		if takes[name] && !hasValue && i+1 < len(args) {
			i++
			flags = append(flags, args[i])
		}
	}
	return append(append(flags, "--"), rest...)
}
