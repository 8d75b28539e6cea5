package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gowsgi/gowsgi/internal/settings"
)

var update = flag.Bool("update", false, "write the tables in docs/gunicorn.md")

// TestGunicornTables: docs/gunicorn.md has the tables that the code makes.
func TestGunicornTables(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "gunicorn.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := string(text)
	for name, table := range map[string]string{"settings": settingsTable(), "hooks": hooksTable(), "exit codes": exitCodesTable()} {
		begin, end := "<!-- "+name+": made by go test ./cmd/gowsgi -update -->\n", "<!-- end -->"
		head, rest, ok := strings.Cut(want, begin)
		_, tail, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no place for the %s", path, name)
		}
		want = head + begin + table + end + tail
	}
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(text) != want {
		t.Errorf("%s is not what the code makes: go test ./cmd/gowsgi -run TestGunicornTables -update", path)
	}
}

func settingsTable() string {
	var b strings.Builder
	b.WriteString("| setting | option | default | state | |\n|---|---|---|---|---|\n")
	for _, s := range settings.All {
		if s.Kind == settings.Hook {
			continue
		}
		option, def := "", fmt.Sprint(s.Default)
		if len(s.Flags) > 0 {
			var all []string
			for _, f := range s.Flags {
				all = append(all, "`-"+strings.Repeat("-", min(len(f)-1, 1))+f+"`")
			}
			option = strings.Join(all, ", ")
		}
		if s.Kind == settings.List {
			def = strings.Join(s.Default.([]string), ", ")
		}
		if s.Kind == settings.Dict {
			def = ""
		}
		if def != "" {
			def = "`" + def + "`"
		}
		state := string(s.State)
		if s.Ours {
			state = "**gowsgi's own**"
		}
		note := s.Note
		if note == "" && s.State == settings.Works {
			note = strings.ReplaceAll(s.Usage, "`", "")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, option, def, state, strings.ReplaceAll(note, "|", `\|`))
	}
	return b.String()
}

func hooksTable() string {
	var b strings.Builder
	b.WriteString("| hook | state | |\n|---|---|---|\n")
	for _, s := range settings.All {
		if s.Kind == settings.Hook {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.Name, s.State, s.Note)
		}
	}
	return b.String()
}

func exitCodesTable() string {
	return fmt.Sprintf("| code | |\n|---|---|\n"+
		"| %d | stopped as it was told to |\n"+
		"| %d | bad settings, no Python, or it cannot listen |\n"+
		"| %d | the application failed to import, or its workers die before they serve |\n"+
		"| %d | there is no such application in the module |\n", exitOK, exitConfig, exitBoot, exitAppSpec)
}
