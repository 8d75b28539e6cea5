package uwsgiconf

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// version is the uWSGI whose behaviour is followed.
const version = "2.0.30"

// magic is what %d, %n and the other letters stand for. A letter that is not there
// stands for nothing.
type magic map[byte]string

func newMagic(dir string) magic {
	host, _ := os.Hostname()
	uid, gid := strconv.Itoa(os.Getuid()), strconv.Itoa(os.Getgid())
	now := time.Now()
	m := magic{
		'%': "%", '(': "%(", '[': "\033",
		'v': dir, 'h': host, 'V': version, 'k': strconv.Itoa(runtime.NumCPU()),
		't': strconv.FormatInt(now.Unix(), 10), 'T': strconv.FormatInt(now.UnixMicro(), 10),
		'u': uid, 'U': uid, 'g': gid, 'G': gid,
	}
	if u, err := user.LookupId(uid); err == nil {
		m['U'] = u.Username
	}
	if g, err := user.LookupGroupId(gid); err == nil {
		m['G'] = g.Name
	}
	if program, err := os.Executable(); err == nil {
		m['b'] = program
	}
	return m
}

// fill takes the letters that tell of a file; file is as it was written, and first
// is for the file that the others are included from.
func (m magic) fill(file, section, dir string, first bool) {
	full := file
	if !filepath.IsAbs(full) {
		full = filepath.Join(dir, full)
	}
	// As uWSGI has it: a link keeps its own name.
	if info, err := os.Lstat(full); err == nil && info.Mode()&os.ModeSymlink == 0 {
		if real, err := filepath.EvalSymlinks(full); err == nil {
			full = real
		}
	}
	folder, base := filepath.Split(full)
	m['o'], m['p'], m['s'], m['d'], m['x'] = file, full, base, folder, section
	if section != "" {
		m['o'] += ":" + section
	}
	m['n'], m['e'] = base, ""
	if i := strings.LastIndexByte(base, '.'); i >= 0 {
		m['n'], m['e'] = base[:i], base[i+1:]
	}
	m['c'] = filepath.Base(strings.TrimSuffix(folder, "/"))
	parts := strings.FieldsFunc(folder, func(r rune) bool { return r == '/' })
	for i := range byte(10) {
		m['0'+i] = ""
		if int(i) < len(parts) {
			m['0'+i] = parts[i]
		}
	}
	hash := uint32(5381)
	for i := range len(full) {
		hash = hash*33 ^ uint32(full[i])
	}
	m['j'] = fmt.Sprintf("%02x%02x%02x%02x", byte(hash), byte(hash>>8), byte(hash>>16), byte(hash>>24))
	var st syscall.Stat_t
	if syscall.Lstat(full, &st) == nil {
		m['i'] = strconv.FormatUint(st.Ino, 10)
	}
	if first {
		for _, letter := range []byte("odspcenxij") {
			m[letter-'a'+'A'] = m[letter]
		}
	}
}

// line is a line of a file, with the letters put in.
type line struct {
	number int
	text   string
}

// lines puts in what the letters stand for. A "%" before a newline takes that away,
// as in uWSGI.
func (m magic) lines(text string) []line {
	var all []line
	var b strings.Builder
	number, begun := 1, 1
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '%' && i+1 == len(text): // it stands for nothing
		case c == '%':
			i++
			b.WriteString(m[text[i]])
			if text[i] == '\n' {
				number++
			}
		case c == '\n':
			all = append(all, line{begun, b.String()})
			b.Reset()
			number++
			begun = number
		default:
			b.WriteByte(c)
		}
	}
	return append(all, line{begun, b.String()})
}
