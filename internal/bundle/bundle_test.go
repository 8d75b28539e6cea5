package bundle

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// large needs two frames and does not get smaller.
var large = func() []byte {
	data := make([]byte, frameSize+12345)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	return data
}()

func sources() []*Source {
	return []*Source{
		{File: File{Name: "bin/program", Exec: true, Place: 16}, Group: "a", Data: make([]byte, 16+PlaceSize)},
		{File: File{Name: "bin/link", Link: "program"}, Group: "a"},
		{File: File{Name: "empty"}, Group: "a"},
		{File: File{Name: "lib/large"}, Group: "a", Data: large},
		{File: File{Name: "lib/none"}, Group: "a"},
		{File: File{Name: "app/text"}, Group: "b", Data: []byte(strings.Repeat("text ", 1000))},
		{File: File{Name: "app/folder", Dir: true}, Group: "b"},
		{File: File{Name: "app/last"}, Group: "b"},
	}
}

var index = Index{Program: "bin/program", Interpreter: "lib/ld.so"}

const launcherText = "a launcher"

// pack returns a file with an archive of sources, and those with their sizes.
func pack() ([]byte, []*Source, error) {
	all := sources()
	var b bytes.Buffer
	b.WriteString(launcherText)
	_, err := Write(&b, index, all)
	return b.Bytes(), all, err
}

// packedOnce is made once: it takes its time under the race detector.
var packedOnce = sync.OnceValues(func() ([]byte, error) {
	data, _, err := pack()
	return data, err
})

// build writes an archive to a file and returns its path.
func build(t *testing.T) string {
	t.Helper()
	data, err := packedOnce()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func openFile(t *testing.T, path string) (*Archive, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return Open(f)
}

func mustOpen(t *testing.T, path string) *Archive {
	t.Helper()
	a, err := openFile(t, path)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// contents reads a folder: files' bytes, "-> target" of links, "/" of empty folders.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			if entries, err := os.ReadDir(path); err != nil || len(entries) > 0 {
				return err
			}
			found[rel] = "/"
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			found[rel] = "-> " + link
			return err
		default:
			data, err := os.ReadFile(path)
			found[rel] = string(data)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// want is what an archive of sources unpacks to.
func want(dir string) map[string]string {
	found := map[string]string{}
	for _, s := range sources() {
		switch {
		case s.Link != "":
			found[s.Name] = "-> " + s.Link
		case s.Dir:
			found[s.Name] = "/"
		default:
			found[s.Name] = string(s.Data)
		}
	}
	program := make([]byte, 16+PlaceSize)
	copy(program[16:], filepath.Join(dir, "lib/ld.so"))
	found["bin/program"] = string(program)
	return found
}

func compare(t *testing.T, dir string) {
	t.Helper()
	got, want := contents(t, dir), want(dir)
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s has %d bytes, %.40q; want %d, %.40q", name, len(got[name]), got[name], len(want[name]), want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	a := mustOpen(t, build(t))
	parent := t.TempDir()
	dir, err := a.Unpack(parent)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, dir)
	for name, want := range map[string]fs.FileMode{"bin/program": 0o755, "app/text": 0o644, ".": folderMode()} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v; want %v", name, info.Mode().Perm(), err, want)
		}
	}
	again, err := a.Unpack(parent)
	if err != nil || again != dir {
		t.Errorf("the second time: %s, %v", again, err)
	}
	elsewhere, err := a.Unpack(t.TempDir())
	if err != nil || filepath.Base(elsewhere) == filepath.Base(dir) {
		t.Errorf("another place has the same name: %s, %v", elsewhere, err)
	}
	compare(t, elsewhere)
}

func TestSameBytesAndSizes(t *testing.T) {
	first, err := packedOnce()
	if err != nil {
		t.Fatal(err)
	}
	second, all, err := pack()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Error("two archives of the same files differ")
	}
	if !bytes.HasPrefix(first, []byte(launcherText)) {
		t.Error("the launcher does not come first")
	}
	var total int64
	for _, s := range all {
		total += s.Packed()
	}
	if overhead := int64(len(first)) - total; overhead < 0 || overhead > 2000 {
		t.Errorf("%d bytes are the files', of %d", total, len(first))
	}
	if all[3].Packed() < frameSize || all[5].Packed() > 1000 {
		t.Errorf("large %d, text %d", all[3].Packed(), all[5].Packed())
	}
}

func TestEpoch(t *testing.T) {
	a := mustOpen(t, build(t))
	a.Index.Epoch = 1_000_000_000
	dir, err := a.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "app/text"))
	if err != nil || info.ModTime().Unix() != a.Index.Epoch {
		t.Errorf("%v, %v", info.ModTime(), err)
	}
}

// fullDisk takes no more.
type fullDisk struct{ room int }

func (d *fullDisk) Write(p []byte) (int, error) {
	if d.room -= len(p); d.room < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func TestWriteErrors(t *testing.T) {
	if _, err := Write(&fullDisk{frameSize / 2}, index, sources()); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", err)
	}
	missing := append(sources(), &Source{File: File{Name: "gone"}, Path: "/nowhere"})
	if _, err := Write(&fullDisk{1 << 30}, index, missing); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "packing gone") {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestDamage flips bytes: nothing that is not as it was written gets a name.
func TestDamage(t *testing.T) {
	path := build(t)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{len(launcherText), len(launcherText) + frameSize + 100, len(whole) - 100, len(whole) - 60} {
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1
		if err := os.WriteFile(path, damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		parent := t.TempDir()
		a, err := openFile(t, path)
		if err == nil {
			_, err = a.Unpack(parent)
		}
		if err == nil {
			t.Errorf("byte %d of %d: no error", at, len(whole))
		}
		if left := contents(t, parent); len(left) > 1 || left["."] != "/" {
			t.Errorf("byte %d: %v is left", at, slices.Collect(maps.Keys(left)))
		}
	}
}

func TestNoArchive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, text := range []string{"", "short", strings.Repeat("long ", 1000)} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := openFile(t, path); !errors.Is(err, ErrNone) {
			t.Errorf("%.10q: %v", text, err)
		}
	}
	cut := build(t)
	whole, err := os.ReadFile(cut)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, whole[len(whole)/2:], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openFile(t, cut); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("half a file: %v", err)
	}
}

// TestTogether: many that start at once agree on one folder and leave nothing else.
func TestTogether(t *testing.T) {
	path, parent := build(t), t.TempDir()
	dirs, begin := make([]string, 8), make(chan struct{})
	var all sync.WaitGroup
	for i := range dirs {
		a := mustOpen(t, path)
		all.Go(func() {
			<-begin
			dir, err := a.Unpack(parent)
			if err != nil {
				t.Error(err)
				return
			}
			compare(t, dir)
			dirs[i] = dir
		})
	}
	close(begin)
	all.Wait()
	if slices.Sort(dirs); dirs[0] != dirs[len(dirs)-1] {
		t.Error(dirs)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 1 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestMend: what is missing, short or something else is written anew, the rest is left.
func TestMend(t *testing.T) {
	a := mustOpen(t, build(t))
	dir, err := a.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	untouched := filepath.Join(dir, "app/text")
	before, err := os.Stat(untouched)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bin/program", "bin/link", "app/folder", "empty"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(filepath.Join(dir, "lib/large"), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Unpack(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	compare(t, dir)
	if after, err := os.Stat(untouched); err != nil || !os.SameFile(before, after) {
		t.Errorf("a whole file was written anew: %v", err)
	}
}

func TestDistrust(t *testing.T) {
	a := mustOpen(t, build(t))
	open := t.TempDir()
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Unpack(open); err == nil || !strings.Contains(err.Error(), "others can write to") {
		t.Errorf("a folder that is open to all: %v", err)
	}
	if err := os.Chmod(open, 0o777|fs.ModeSticky); err != nil { // as /tmp
		t.Fatal(err)
	}
	dir, err := a.Unpack(open)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Unpack(open); err == nil || !strings.Contains(err.Error(), "others can write to") {
		t.Errorf("an archive's folder that is open to all: %v", err)
	}
	if err := errors.Join(os.RemoveAll(dir), os.Symlink(t.TempDir(), dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Unpack(open); err == nil {
		t.Error("a link was taken for the folder")
	}
}

func TestStale(t *testing.T) {
	a, parent := mustOpen(t, build(t)), t.TempDir()
	old, young := filepath.Join(parent, ".unpacking-1"), filepath.Join(parent, ".unpacking-2")
	for _, dir := range []string{old, young} {
		if err := os.MkdirAll(filepath.Join(dir, "lib"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * staleAge)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Unpack(parent); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed process left is still there: %v", err)
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("what another may be writing is gone: %v", err)
	}
}

func TestFolders(t *testing.T) {
	for _, c := range []struct {
		env  string
		uid  int
		want string
	}{
		{"HOME=/home/a", 7, "/home/a/.cache/gowsgi /tmp/gowsgi-7"},
		{"HOME=/home/a XDG_CACHE_HOME=/x TMPDIR=/t", 7, "/x/gowsgi /home/a/.cache/gowsgi /t/gowsgi-7"},
		{"HOME=/root", 0, "/var/cache/gowsgi /root/.cache/gowsgi /tmp/gowsgi-0"},
		{"CACHE_DIRECTORY=/var/cache/svc:/var/cache/b", 7, "/var/cache/svc/gowsgi /tmp/gowsgi-7"},
		{"HOME=/home/a GOWSGI_CACHE=/only", 7, "/only"},
		{"HOME=relative TMPDIR=relative", 7, "/tmp/gowsgi-7"},
		{"", 7, "/tmp/gowsgi-7"},
	} {
		env := map[string]string{}
		for pair := range strings.FieldsSeq(c.env) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		got := strings.Join(folders(func(name string) string { return env[name] }, c.uid), " ")
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.env, got, c.want)
		}
	}
}
