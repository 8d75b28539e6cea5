package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/internal/settings"
	"github.com/gowsgi/gowsgi/internal/uwsgiconf"
	"github.com/urfave/cli/v2"
)

func convertCommand(stdout io.Writer) *cli.Command {
	return &cli.Command{
		Name: "convert", Usage: "print what a configuration of uWSGI's comes to here",
		ArgsUsage: "FILE[:SECTION]",
		Description: "FILE is an .ini, .yaml or .yml file. It prints the command line, with a comment for\n" +
			"each option that has no counterpart. Exit status: 1 when an option is refused.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "config", Usage: "print a gunicorn.conf.py instead"},
			&cli.BoolFlag{Name: "yaml", Usage: "the file is YAML, whatever its name"},
		},
		OnUsageError: usageError,
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return errors.New("say which file, as in `gowsgi convert uwsgi.ini`")
			}
			return convert(stdout, c.Args().First(), c.Bool("config"), c.Bool("yaml"))
		},
	}
}

func convert(w io.Writer, path string, asConfig, asYAML bool) error {
	format := uwsgiconf.INI
	file, _, _ := strings.Cut(path, ":")
	if ext := filepath.Ext(file); asYAML || ext == ".yaml" || ext == ".yml" {
		format = uwsgiconf.YAML
	}
	options, err := uwsgiconf.Read(path, format, os.Environ(), "")
	if err != nil {
		return err
	}
	made := uwsgiconf.Convert(options)
	text := commandLine(made)
	if asConfig {
		text = configFile(made)
	}
	if _, err := io.WriteString(w, text); err != nil {
		return err
	}
	refused := 0
	for _, n := range made.Notes {
		if n.Fate == uwsgiconf.Refused {
			refused++
		}
	}
	if refused > 0 {
		return fmt.Errorf("%d of the options cannot be converted: see the comments that say REFUSED", refused)
	}
	return nil
}

// setSettings are the settings that a conversion has, in the table's order.
func setSettings(made *uwsgiconf.Conversion) []*settings.Setting {
	var all []*settings.Setting
	for i := range settings.All {
		if s := &settings.All[i]; made.Values.IsSet(s.Name) {
			all = append(all, s)
		}
	}
	return all
}

// commandLine prints what to type.
func commandLine(made *uwsgiconf.Conversion) string {
	words := []string{"gowsgi run"}
	for _, s := range setSettings(made) {
		words = append(words, flagWords(s, made.Values)...)
	}
	if made.App != "" {
		words = append(words, shellWord(made.App))
	}
	var b strings.Builder
	b.WriteString(strings.Join(words, " \\\n    ") + "\n")
	comments := comments(made)
	if len(comments) > 0 {
		b.WriteString("\n" + strings.Join(comments, "\n") + "\n")
	}
	return b.String()
}

// flagWords spells a setting as options of the command line.
func flagWords(s *settings.Setting, v *settings.Values) []string {
	var words []string
	flag := s.Flag()
	switch s.Kind {
	case settings.Bool:
		return []string{flag}
	case settings.List:
		for _, one := range v.List(s.Name) {
			words = append(words, flag+" "+shellWord(one))
		}
		return words
	case settings.Int:
		if isMode(s) {
			return []string{fmt.Sprintf("%s 0o%o", flag, v.Int(s.Name))}
		}
		return []string{fmt.Sprintf("%s %d", flag, v.Int(s.Name))}
	case settings.Seconds:
		return []string{fmt.Sprintf("%s %v", flag, v.Duration(s.Name).Seconds())}
	}
	return []string{flag + " " + shellWord(v.String(s.Name))}
}

// isMode tells whether a number is one that people write in octal.
func isMode(s *settings.Setting) bool { return s.Octal || s.Name == "umask" }

// shellWord quotes for a shell what needs it.
func shellWord(text string) string {
	safe := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("@%+=:,./_-", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// comments say what became of the options that no setting has the place of, the
// worst first.
func comments(made *uwsgiconf.Conversion) []string {
	var notes []uwsgiconf.Note
	for _, n := range made.Notes {
		if n.Text != "" {
			notes = append(notes, n)
		}
	}
	slices.SortStableFunc(notes, func(a, b uwsgiconf.Note) int { return cmp.Compare(b.Fate, a.Fate) })
	var all []string
	for _, n := range notes {
		all = append(all, comment(n))
	}
	return all
}

func comment(n uwsgiconf.Note) string {
	word := map[uwsgiconf.Fate]string{uwsgiconf.Refused: "REFUSED: ", uwsgiconf.Lost: "lost: "}[n.Fate]
	option := n.Name
	if n.Value != "" {
		option += " = " + shortened(n.Value)
	}
	if n.Implied {
		return fmt.Sprintf("# %s: %s", option, n.Text)
	}
	return fmt.Sprintf("# %s: %s: %s%s", n.Place, option, word, n.Text)
}

// shortened is a value on one line, without the comment that may be behind it.
func shortened(value string) string {
	const most = 60
	value, _, _ = strings.Cut(value, " ;")
	value, _, _ = strings.Cut(value, " # ")
	value = strings.Join(strings.Fields(value), " ")
	if len(value) > most {
		return strings.ToValidUTF8(value[:most], "") + "..."
	}
	return value
}

// configFile prints a gunicorn.conf.py.
func configFile(made *uwsgiconf.Conversion) string {
	var b strings.Builder
	if made.App != "" {
		fmt.Fprintf(&b, "wsgi_app = %s\n", pythonText(made.App))
	}
	for _, s := range setSettings(made) {
		if s.Name == "python" {
			// It is found before this file is read.
			fmt.Fprintf(&b, "# Say --python %s on the command line.\n", shellWord(made.Values.String("python")))
			continue
		}
		fmt.Fprintf(&b, "%s = %s\n", s.Name, pythonValue(s, made.Values))
	}
	for _, one := range comments(made) {
		b.WriteString(one + "\n")
	}
	return b.String()
}

func pythonValue(s *settings.Setting, v *settings.Values) string {
	switch s.Kind {
	case settings.Bool:
		return "True"
	case settings.List:
		var all []string
		for _, one := range v.List(s.Name) {
			all = append(all, pythonText(one))
		}
		return "[" + strings.Join(all, ", ") + "]"
	case settings.Int:
		if isMode(s) {
			return fmt.Sprintf("0o%o", v.Int(s.Name))
		}
		return fmt.Sprint(v.Int(s.Name))
	case settings.Seconds:
		return fmt.Sprint(v.Duration(s.Name).Seconds())
	}
	return pythonText(v.String(s.Name))
}

// pythonText is a literal of Python's: JSON's is one, but for what JSON escapes for
// HTML's sake.
func pythonText(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil {
		return `""` // no string makes it fail
	}
	return strings.TrimSuffix(b.String(), "\n")
}
