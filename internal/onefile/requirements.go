package onefile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/internal/bundle"
)

// requirements is what pip is asked for.
type requirements struct {
	files  []string
	single []string
	origin string
}

// pyprojectScript prints what a project depends on; null where it does not say.
const pyprojectScript = `
import json, sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file).get("project", {})
print(json.dumps(project.get("dependencies", None if "dependencies" in project.get("dynamic", ()) or not project else [])))
`

// frozenScript prints what is installed, as pip freeze has it, and what cannot be
// named by a version.
const frozenScript = `
import json
from importlib.metadata import distributions
pins, local = set(), set()
for found in distributions():
    name = found.metadata["Name"]
    if name is None or name.lower() in {"pip", "setuptools", "wheel"}:
        continue
    source = json.loads(found.read_text("direct_url.json") or "{}")
    if "vcs_info" in source:
        pins.add(f"{name} @ {source['vcs_info']['vcs']}+{source['url']}@{source['vcs_info']['commit_id']}")
    elif source.get("url", "").startswith("file:"):
        local.add(name)
    elif source:
        pins.add(f"{name} @ {source['url']}")
    else:
        pins.add(f"{name}=={found.version}")
print(json.dumps([sorted(pins), sorted(local)]))
`

// findRequirements decides what the application needs: what the options name, else
// requirements.txt, else pyproject.toml, else what is in the virtual environment.
func (b *builder) findRequirements(ctx context.Context) (requirements, error) {
	if len(b.Requirements)+len(b.Require) > 0 {
		r := requirements{single: fromHere(b.Require), origin: strings.Join(slices.Concat(b.Requirements, b.Require), ", ")}
		for _, file := range b.Requirements {
			if filepath.Base(file) != "pyproject.toml" {
				r.files = append(r.files, file)
				continue
			}
			found, err := b.fromPyproject(ctx, file)
			if err != nil {
				return r, err
			}
			r.single = append(r.single, found.single...)
		}
		return r, nil
	}
	if file := filepath.Join(b.Dir, "requirements.txt"); exists(file) {
		return requirements{files: []string{file}, origin: file}, nil
	}
	if file := filepath.Join(b.Dir, "pyproject.toml"); exists(file) {
		found, err := b.fromPyproject(ctx, file)
		if !errors.Is(err, errNoDependencies) {
			return found, err
		}
		b.say("%v", err)
	}
	if b.Venv != "" {
		return b.fromVenv(ctx)
	}
	return requirements{}, nil
}

// fromHere makes paths absolute: pip will run in another folder.
func fromHere(all []string) []string {
	all = slices.Clone(all)
	for i, one := range all {
		if path, err := filepath.Abs(one); err == nil && strings.Contains(one, "/") && exists(path) {
			all[i] = path
		}
	}
	return all
}

var errNoDependencies = errors.New("it states no dependencies (PEP 621)")

func (b *builder) fromPyproject(ctx context.Context, file string) (requirements, error) {
	r := requirements{origin: file}
	if !b.layout.Tomllib {
		return r, fmt.Errorf("%s: Python %s cannot read it: name a requirements file", file, b.Python.Version)
	}
	text, err := b.Python.output(ctx, nil, "-I", "-c", pyprojectScript, file)
	if err != nil {
		return r, fmt.Errorf("reading %s: %w", file, err)
	}
	if strings.TrimSpace(string(text)) == "null" {
		return r, fmt.Errorf("%s: %w", file, errNoDependencies)
	}
	return r, json.Unmarshal(text, &r.single)
}

func (b *builder) fromVenv(ctx context.Context) (requirements, error) {
	r := requirements{origin: b.Venv}
	text, err := Python{Executable: filepath.Join(b.Venv, "bin", "python")}.output(ctx, nil, "-I", "-c", frozenScript)
	if err != nil {
		return r, fmt.Errorf("asking %s what is installed: %w", b.Venv, err)
	}
	var local []string
	if err := json.Unmarshal(text, &[]any{&r.single, &local}); err != nil {
		return r, err
	}
	for _, name := range local {
		b.say("%s is not packed: in %s it comes from a folder of this machine; --require PATH adds it", name, b.Venv)
	}
	return r, nil
}

// addPackages has pip install the requirements to a folder of their own: with the
// packed Python, so that the wheels fit it.
func (b *builder) addPackages(ctx context.Context) error {
	r, err := b.findRequirements(ctx)
	if err != nil {
		return err
	}
	if len(r.files)+len(r.single) == 0 {
		b.say("no packages are needed: there is neither a requirements.txt that says so nor --requirements")
		return nil
	}
	b.say("installing the requirements of %s", r.origin)
	target := filepath.Join(b.stage, "packages")
	if err := b.pip(ctx, target, r); err != nil {
		return err
	}
	if err := tidy(target); err != nil {
		return fmt.Errorf("adding packages: %w", err)
	}
	w := &walk{exclude: b.Exclude, keep: b.Keep, usual: usualPackages, found: func(rel, path string, exec bool) {
		b.add(&bundle.Source{File: bundle.File{Name: b.layout.site + "/" + rel, Exec: exec}, Group: groupPackages, Path: path})
	}}
	if err := w.run(target); err != nil {
		return fmt.Errorf("adding packages: %w", err)
	}
	b.report.leftOut("packages", w.out)
	return nil
}

func (b *builder) pip(ctx context.Context, target string, r requirements) error {
	from := b.Python.Pip
	if from == "" && !b.layout.HasPip {
		if from = b.layout.Bundled; from == "" {
			return fmt.Errorf("%s has no pip: install it there", b.Python.Executable)
		}
	}
	args := []string{"-m", "pip", "install", "--target", target, "--no-compile", "--no-warn-script-location", "--quiet", "--no-input", "--root-user-action=ignore"}
	for _, file := range r.files {
		path, err := filepath.Abs(file)
		if err != nil {
			return err
		}
		args = append(args, "--requirement", path)
	}
	cmd := exec.CommandContext(ctx, b.Python.Executable, append(append(args, "--"), r.single...)...)
	cmd.Dir = b.Dir // what a requirements file names by a path is meant from there
	cmd.Env = append(cleanEnviron(), "PIP_USER=0", "PIP_REQUIRE_VIRTUALENV=0", "PIP_DISABLE_PIP_VERSION_CHECK=1", "PYTHONPATH="+from)
	if os.Getenv("SOURCE_DATE_EPOCH") == "" {
		cmd.Env = append(cmd.Env, "SOURCE_DATE_EPOCH=315532800") // for what is built: 1980, as old as a zip file can be
	}
	cmd.Stdout, cmd.Stderr = b.Log, b.Log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pip could not install the requirements of %s: %w", r.origin, err)
	}
	return nil
}

// tidy takes out of the packages' own lists of files what is not packed: scripts, which
// name this machine's Python, and where a package came from on this machine.
func tidy(target string) error {
	lists, err := filepath.Glob(filepath.Join(target, "*.dist-info", "RECORD"))
	if err != nil {
		return err
	}
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			return err
		}
		var kept strings.Builder
		for line := range strings.Lines(string(text)) {
			name, _, _ := strings.Cut(line, ",")
			if !strings.HasPrefix(name, "../") && !strings.HasPrefix(name, "bin/") && filepath.Base(name) != "direct_url.json" {
				kept.WriteString(line)
			}
		}
		if err := os.WriteFile(list, []byte(kept.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
