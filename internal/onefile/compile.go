package onefile

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gowsgi/gowsgi/internal/bundle"
)

// compileScript compiles files one after another, always in the same order: what
// marshal writes may depend on what was compiled before. Bytecode that is never
// compared with its source needs no times. What cannot be compiled is for whoever
// imports it.
const compileScript = `
import json, py_compile, sys, warnings
warnings.simplefilter("ignore")
for source, name, output in json.load(sys.stdin):
    try:
        py_compile.compile(source, output, name, True, 0, py_compile.PycInvalidationMode.UNCHECKED_HASH)
    except (py_compile.PyCompileError, ValueError, RecursionError):
        pass
`

// compile adds the bytecode of all that is Python.
func (b *builder) compile(ctx context.Context) error {
	folder := filepath.Join(b.stage, "bytecode")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	type job struct{ source, name, output string }
	var jobs []job
	var lines [][3]string
	for _, s := range b.sorted() {
		if s.Path == "" || path.Ext(s.Name) != ".py" {
			continue
		}
		j := job{s.Path, s.Name, filepath.Join(folder, strconv.Itoa(len(jobs)))}
		jobs = append(jobs, j)
		lines = append(lines, [3]string{j.source, j.name, j.output})
	}
	input, err := json.Marshal(lines)
	if err != nil {
		return err
	}
	b.say("compiling %d modules", len(jobs))
	if _, err := b.Python.output(ctx, bytes.NewReader(input), "-I", "-S", "-c", compileScript); err != nil {
		return fmt.Errorf("compiling: %w", err)
	}
	for _, j := range jobs {
		if !exists(j.output) {
			b.report.Uncompiled = append(b.report.Uncompiled, j.name)
			continue
		}
		stem := strings.TrimSuffix(path.Base(j.name), ".py")
		name := path.Join(path.Dir(j.name), "__pycache__", stem+"."+b.layout.CacheTag+".pyc")
		b.add(&bundle.Source{File: bundle.File{Name: name}, Group: b.sources[j.name].Group, Path: j.output})
	}
	return nil
}
