package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

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
	long  string
	value bool // it takes one
}

func flagNames(flags []cli.Flag) map[string]flagName {
	names := map[string]flagName{"h": {long: "help"}, "help": {long: "help"}}
	for _, f := range flags {
		_, isBool := f.(*cli.BoolFlag)
		for _, name := range f.Names() {
			names[name] = flagName{long: f.Names()[0], value: !isBool}
		}
	}
	return names
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
		f, known := names[name]
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
