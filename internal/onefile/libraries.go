package onefile

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/internal/bundle"
	"github.com/gowsgi/gowsgi/internal/unpacked"
)

// quiet are libraries that the C library opens by name: to end a thread, and before
// glibc 2.34 to look up names.
var quiet = []string{"libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"}

// libraries finds what objects need from the system.
type libraries struct {
	b        *builder
	program  *object
	provided map[string]bool   // names that some packed file has
	system   map[string]string // paths by name
}

// addLibraries adds the dynamic linker and each library of the system's that a packed
// object needs, or that such a library needs.
func (b *builder) addLibraries() error {
	program, err := readObjectFile(b.Program)
	if err != nil {
		return err
	}
	l := &libraries{b: b, program: program, provided: map[string]bool{}, system: systemLibraries()}
	b.interpreter = unpacked.Lib + "/" + filepath.Base(program.interpreter)
	b.add(&bundle.Source{File: bundle.File{Name: b.interpreter, Exec: true}, Group: groupSystem, Path: program.interpreter})
	for name := range b.sources {
		l.provided[path.Base(name)] = true
	}
	for _, s := range b.sorted() {
		if err := l.follow(s); err != nil {
			return fmt.Errorf("looking at %s: %w", s.Name, err)
		}
	}
	for _, name := range quiet {
		if l.provided[name] {
			continue
		}
		if err := l.addFound(name, l.find(name, "", nil)); err != nil {
			return err
		}
	}
	return nil
}

// follow adds what an object needs.
func (l *libraries) follow(s *bundle.Source) error {
	if s.Link != "" || s.Dir || path.Ext(s.Name) == ".py" || path.Ext(s.Name) == ".pyc" {
		return nil
	}
	o := l.program
	if s.Path != "" {
		var err error
		if o, err = readObjectFile(s.Path); err != nil || o == nil || o.machine != l.program.machine {
			return nil // not for this system: data that looks alike
		}
		if o.runpath {
			if s.Data, err = os.ReadFile(s.Path); err != nil {
				return err
			}
			if err := useRpath(s.Data); err != nil {
				return err
			}
		}
	} else if s.Name != l.b.programName() {
		return nil
	}
	for _, name := range o.needed {
		if l.provided[name] {
			continue
		}
		found := l.find(name, filepath.Dir(s.Path), o.search)
		if found == "" {
			l.b.report.Missing = append(l.b.report.Missing, fmt.Sprintf("%s needs %s", s.Name, name))
			continue
		}
		if err := l.addFound(name, found); err != nil {
			return err
		}
	}
	if s.Data != nil {
		s.Path = ""
	}
	return nil
}

func (l *libraries) addFound(name, file string) error {
	if file == "" {
		return nil
	}
	l.provided[name] = true
	s := &bundle.Source{File: bundle.File{Name: unpacked.Lib + "/" + name, Exec: true}, Group: groupSystem, Path: file}
	l.b.add(s)
	return l.follow(s)
}

// find looks for a library where the object's own search path says, as it lies on this
// machine, then beside libpython, and then where the system does; "": there is none.
func (l *libraries) find(name, origin string, search []string) string {
	var all []string
	for _, dir := range search {
		dir = strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(dir)
		if filepath.IsAbs(dir) {
			all = append(all, filepath.Join(dir, name))
		}
	}
	all = append(all, filepath.Join(filepath.Dir(l.b.Python.Library), name))
	if known := l.system[name]; known != "" {
		all = append(all, known)
	}
	for _, dir := range []string{"/lib64", "/usr/lib64", "/lib", "/usr/lib"} {
		all = append(all, filepath.Join(dir, name))
	}
	i := slices.IndexFunc(all, func(file string) bool {
		o, err := readObjectFile(file)
		return err == nil && o != nil && o.machine == l.program.machine
	})
	if i < 0 {
		return ""
	}
	return all[i]
}

// systemLibraries is what the dynamic linker knows, by name.
func systemLibraries() map[string]string {
	found := map[string]string{}
	for _, command := range []string{"/sbin/ldconfig", "/usr/sbin/ldconfig", "ldconfig"} {
		text, err := exec.Command(command, "-p").Output()
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			name, file, ok := strings.Cut(strings.TrimSpace(line), " => ")
			name, _, _ = strings.Cut(name, " ")
			if ok && found[name] == "" {
				found[name] = file
			}
		}
		break
	}
	return found
}
