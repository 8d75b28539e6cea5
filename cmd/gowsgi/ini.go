package main

import (
	"errors"

	"github.com/gowsgi/gowsgi/internal/uwsgiconf"
)

// readUWSGI takes what --ini or --yaml has: it goes before the defaults, and behind
// the command line.
func (cmd *command) readUWSGI(g *generation) error {
	ini, yaml := g.values.String("ini"), g.values.String("yaml")
	path, format := ini, uwsgiconf.INI
	if yaml != "" {
		path, format = yaml, uwsgiconf.YAML
	}
	switch {
	case path == "":
		return nil
	case ini != "" && yaml != "":
		return errors.New("--ini and --yaml: name one of them; a file can include another by ini = and yaml =")
	case cmd.typed.IsSet("config"):
		return errors.New("--config: there is --ini or --yaml too; `gowsgi convert --config` makes one configuration of both")
	}
	options, err := uwsgiconf.Read(path, format, cmd.env, "")
	if err != nil {
		return err
	}
	made := uwsgiconf.Convert(options)
	if err := made.Err(); err != nil {
		return err
	}
	g.values, g.options = cmd.defaults.Over(made.Values).Over(cmd.typed), made.Options
	g.warnings = append(g.warnings, made.Warnings()...)
	if g.app == "" {
		g.app = made.App
	}
	return nil
}
