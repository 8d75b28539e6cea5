package bundle

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// staleAge is when a folder that was begun belongs to nobody any more.
const staleAge = time.Hour

// Unpack makes sure that the archive lies unpacked in a folder of its own in parent,
// an absolute path, and returns that. It may be called by several processes at a
// time: the folder gets its name when it is whole. What is there is trusted if it
// belongs to this user or to root and nobody else can write to it; files that are
// missing or have another size are written anew.
//
// The folder's name stands for the content and for the place: programs in it have
// the path of their dynamic linker written into them.
func (a *Archive) Unpack(parent string) (string, error) {
	if err := usable(parent); err != nil {
		return "", err
	}
	place := sha256.Sum256([]byte(parent))
	name := a.Content[:32] + "-" + hex.EncodeToString(place[:4])
	dir := filepath.Join(parent, name)
	if len(dir)+len(a.Index.Interpreter)+2 > PlaceSize {
		return "", fmt.Errorf("the path %s is too long", dir)
	}
	err := whole(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = a.make(parent, dir)
	}
	if err != nil {
		return "", err
	}
	return dir, a.repair(dir)
}

// usable makes a folder for archives, if need be, and tells whether it can hold one.
func usable(parent string) error {
	if err := os.MkdirAll(parent, folderMode()); err != nil {
		return err
	}
	link, err := os.Lstat(parent)
	if err != nil {
		return err
	}
	if err := ours(parent, link); err != nil {
		return err
	}
	info, err := os.Stat(parent)
	if err != nil {
		return err
	}
	if err := trusted(parent, info); err != nil {
		return err
	}
	if noExec(parent) {
		return fmt.Errorf("%s is mounted noexec", parent)
	}
	return nil
}

// folderMode keeps other users out, but root's workers may run as another user.
func folderMode() fs.FileMode {
	if os.Geteuid() == 0 {
		return 0o755
	}
	return 0o700
}

// ours tells whether something belongs to this user or to root.
func ours(path string, info fs.FileInfo) error {
	if owner := info.Sys().(*syscall.Stat_t).Uid; owner != 0 && int(owner) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, not to this one", path, owner)
	}
	return nil
}

// trusted tells whether nobody but this user and root can change what is in a folder.
func trusted(dir string, info fs.FileInfo) error {
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", dir)
	case info.Mode()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0:
		return fmt.Errorf("others can write to %s", dir)
	}
	return ours(dir, info)
}

// whole tells whether there is an unpacked archive at dir, itself and no link to it.
func whole(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	return trusted(dir, info)
}

// make unpacks everything beside dir, and then gives it its name.
func (a *Archive) make(parent, dir string) error {
	removeStale(parent)
	temp, err := os.MkdirTemp(parent, ".unpacking-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) // after a rename it is not there
	if err := a.write(temp, dir, a.Index.Files, ""); err != nil {
		return err
	}
	if err := os.Chmod(temp, folderMode()); err != nil {
		return err
	}
	err = os.Rename(temp, dir)
	if errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return whole(dir) // another process was faster
	}
	return err
}

// removeStale removes what processes have left that were killed while they unpacked.
func removeStale(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // so is what follows
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.HasPrefix(e.Name(), ".unpacking-") && time.Since(info.ModTime()) > staleAge {
			os.RemoveAll(filepath.Join(parent, e.Name()))
		}
	}
}

// repair writes the files anew that are not as they were: /tmp is cleaned of old
// files by many systems, a full disk leaves short ones.
func (a *Archive) repair(dir string) error {
	var bad []File
	for _, f := range a.Index.Files {
		if !intact(filepath.Join(dir, f.Name), f) {
			bad = append(bad, f)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	suffix := fmt.Sprintf(".mending-%d", rand.Int64())
	defer func() {
		for _, f := range bad {
			os.Remove(filepath.Join(dir, f.Name) + suffix) // those that did not get their name
		}
	}()
	if err := a.write(dir, dir, bad, suffix); err != nil {
		return fmt.Errorf("%d files in %s are missing or damaged: %w", len(bad), dir, err)
	}
	return nil
}

func intact(path string, f File) bool {
	info, err := os.Lstat(path)
	switch {
	case err != nil:
		return false
	case f.Link != "":
		link, err := os.Readlink(path)
		return err == nil && link == f.Link
	case f.Dir:
		return info.IsDir()
	}
	return info.Mode().IsRegular() && info.Size() == f.Size
}

// write writes files below a folder, which will be known as final. With a suffix they
// are written beside their places first, to take them at once.
func (a *Archive) write(dir, final string, files []File, suffix string) error {
	wanted, made := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		folder := filepath.Dir(path)
		if f.Dir {
			folder = path
		}
		if !made[folder] {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return err
			}
			made[folder] = true
		}
		switch {
		case f.Dir:
		case f.Link != "":
			if err := os.Symlink(f.Link, path+suffix); err != nil {
				return err
			}
		default:
			wanted[f.Name] = true
		}
	}
	if err := a.writeBytes(dir, wanted, suffix); err != nil {
		return err
	}
	for _, f := range files {
		if f.Dir {
			continue
		}
		path := filepath.Join(dir, f.Name)
		if err := a.finishFile(path+suffix, final, f); err != nil {
			return err
		}
		if suffix == "" {
			continue
		}
		if err := os.Rename(path+suffix, path); err != nil {
			return err
		}
	}
	return nil
}

// finishFile gives a file what is not in its bytes.
func (a *Archive) finishFile(path, final string, f File) error {
	if f.Place > 0 {
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = w.WriteAt([]byte(filepath.Join(final, a.Index.Interpreter)+"\x00"), f.Place)
		if err = errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
	if a.Index.Epoch != 0 && f.Link == "" {
		at := time.Unix(a.Index.Epoch, 0)
		return os.Chtimes(path, at, at)
	}
	return nil
}

// writeBytes unpacks the frames that wanted files lie in, side by side.
func (a *Archive) writeBytes(dir string, wanted map[string]bool, suffix string) error {
	parts := a.parts(wanted)
	work := make(chan int)
	workers := min(runtime.GOMAXPROCS(0), len(parts))
	errs := make(chan error, workers)
	for range workers {
		go func() {
			var err error
			for i := range work {
				if err == nil {
					err = a.writeFrame(dir, i, parts[i], suffix)
				}
			}
			errs <- err
		}()
	}
	for i := range parts {
		if len(parts[i]) > 0 {
			work <- i
		}
	}
	close(work)
	var err error
	for range workers {
		if e := <-errs; err == nil {
			err = e
		}
	}
	return err
}

// part is what a frame has of a file.
type part struct {
	file     File
	at       int64 // in the file
	from, to int64 // in the frame
}

// parts says for each frame what it has of the wanted files; an empty file is a part
// too.
func (a *Archive) parts(wanted map[string]bool) [][]part {
	parts := make([][]part, len(a.Index.Frames))
	i, at := 0, int64(0) // the frame, and the place in it
	for _, f := range a.Index.Files {
		for done := int64(0); ; {
			for i+1 < len(parts) && at == a.Index.Frames[i].Raw {
				i, at = i+1, 0
			}
			n := min(f.Size-done, a.Index.Frames[i].Raw-at)
			if wanted[f.Name] {
				parts[i] = append(parts[i], part{f, done, at, at + n})
			}
			done += n
			at += n
			if done == f.Size {
				break
			}
		}
	}
	return parts
}

func (a *Archive) writeFrame(dir string, i int, parts []part, suffix string) error {
	raw, err := a.frame(i)
	if err != nil {
		return err
	}
	for _, p := range parts {
		mode := fs.FileMode(0o644)
		if p.file.Exec {
			mode = 0o755
		}
		w, err := os.OpenFile(filepath.Join(dir, p.file.Name)+suffix, os.O_WRONLY|os.O_CREATE, mode)
		if err != nil {
			return err
		}
		_, err = w.WriteAt(raw[p.from:p.to], p.at)
		if err = errors.Join(err, w.Close()); err != nil {
			return err
		}
	}
	return nil
}
