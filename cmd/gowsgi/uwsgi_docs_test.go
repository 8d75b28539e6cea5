package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestUWSGITable: each row of the table in docs/uwsgi.md is what convert does.
func TestUWSGITable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "uwsgi.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "<!-- each row is held by a test")
	table, _, _ = strings.Cut(table, "\n\n`cheaper`")
	rows := 0
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) != 3 || !strings.Contains(cells[0], "`") {
			continue
		}
		rows++
		for _, option := range quoted(cells[0]) {
			made, _ := converted(t, "[uwsgi]\n"+option+" = "+quoted(cells[1])[0]+"\n")
			command, _, _ := strings.Cut(commandLine(made), "\n\n")
			for _, want := range quoted(cells[2]) {
				if !strings.Contains(command+"\n", "    "+want+"\n") && !strings.Contains(command, "    "+want+" \\\n") {
					t.Errorf("%s: no %s in\n%s", option, want, command)
				}
			}
		}
	}
	if rows < 30 {
		t.Errorf("only %d rows were found", rows)
	}
}

// quoted are the texts in backquotes.
func quoted(cell string) []string {
	var all []string
	for i, part := range strings.Split(cell, "`") {
		if i%2 == 1 {
			all = append(all, part)
		}
	}
	return all
}
