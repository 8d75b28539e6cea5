package onefile

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/gowsgi/gowsgi/internal/bundle"
)

// Report says what a file is made of. Sizes are in bytes.
type Report struct {
	Python     string
	Size       int64
	SHA256     string // of the file
	Content    string // the archive's name
	Launcher   int64
	Files      int
	Parts      []Part // in the archive's order
	Largest    []Part // single files
	Packages   []Part // top folders and files of packages, by size
	Out        []Out
	Uncompiled []string // modules that are no Python of this version
	Missing    []string // libraries that this machine does not have either
}

// Part is something in the file.
type Part struct {
	Name   string
	Raw    int64 // as it is unpacked
	Packed int64 // about what of the file it takes
}

// Out is what was left out.
type Out struct {
	Of    string
	Names []string
}

func (r *Report) leftOut(of string, names []string) {
	// What Python makes anew is nobody's loss.
	names = slices.DeleteFunc(names, func(name string) bool { return anyMatches(usualAlways, name) })
	if len(names) > 0 {
		r.Out = append(r.Out, Out{of, names})
	}
}

// sum counts and hashes what is written, as long as its context lasts.
type sum struct {
	ctx  context.Context
	file *os.File
	hash hash.Hash
	size int64
}

func newSum(ctx context.Context, f *os.File) *sum {
	return &sum{ctx: ctx, file: f, hash: sha256.New()}
}

func (s *sum) Write(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	s.hash.Write(p)
	s.size += int64(len(p))
	return s.file.Write(p)
}

// take counts what was written.
func (r *Report) take(s *sum, launcher int, sources []*bundle.Source, site string) {
	r.Size, r.SHA256, r.Launcher, r.Files = s.size, hex.EncodeToString(s.hash.Sum(nil)), int64(launcher), len(sources)
	parts, packages := map[string]*Part{}, map[string]*Part{}
	count := func(in map[string]*Part, name string, source *bundle.Source) {
		if in[name] == nil {
			in[name] = &Part{Name: name}
		}
		in[name].Raw += source.Size
		in[name].Packed += source.Packed()
	}
	for _, source := range sources {
		count(parts, source.Group, source)
		r.Largest = append(r.Largest, Part{source.Name, source.Size, source.Packed()})
		if rel, ok := strings.CutPrefix(source.Name, site+"/"); ok && source.Group == groupPackages {
			top, _, _ := strings.Cut(rel, "/")
			if strings.HasPrefix(top, "__pycache__") {
				top, _, _ = strings.Cut(path.Base(rel), ".")
			}
			count(packages, strings.TrimSuffix(top, ".py"), source)
		}
	}
	for _, group := range groups {
		if p := parts[group]; p != nil {
			r.Parts = append(r.Parts, *p)
		}
	}
	for _, p := range packages {
		r.Packages = append(r.Packages, *p)
	}
	bySize := func(x, y Part) int { return cmp.Or(cmp.Compare(y.Packed, x.Packed), strings.Compare(x.Name, y.Name)) }
	slices.SortFunc(r.Packages, bySize)
	slices.SortFunc(r.Largest, bySize)
}

// How many lines of each kind Print prints.
const (
	fewest = 5
	most   = 8
)

// Print writes the report for people.
func (r *Report) Print(w io.Writer, output string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s, CPython %s\nsha256 %s\n\n%-44s %10s %10s\n", output, size(r.Size), r.Python, r.SHA256, "", "in it", "unpacked")
	line := func(p Part) { fmt.Fprintf(&b, "%-44s %10s %10s\n", p.Name, size(p.Packed), size(p.Raw)) }
	line(Part{"launcher", r.Launcher, r.Launcher})
	for _, p := range r.Parts {
		line(p)
	}
	list := func(title string, parts []Part, n int) {
		if len(parts) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, p := range parts[:min(n, len(parts))] {
			line(Part{"  " + p.Name, p.Raw, p.Packed})
		}
	}
	list("packages, the largest", r.Packages, most)
	list(fmt.Sprintf("files, the largest of %d", r.Files), r.Largest, fewest)
	for _, out := range r.Out {
		fmt.Fprintf(&b, "\nleft out of %s:\n", out.Of)
		for _, name := range out.Names {
			fmt.Fprintf(&b, "  %s\n", name)
		}
	}
	for _, text := range r.Missing {
		fmt.Fprintf(&b, "\nwarning: %s, which is not on this machine: what uses it will fail\n", text)
	}
	if len(r.Uncompiled) > 0 {
		fmt.Fprintf(&b, "\nno Python of this version: %s\n", strings.Join(r.Uncompiled, " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func size(n int64) string {
	switch {
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}
