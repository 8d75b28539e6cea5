package bridge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The hammer: many clients against an engine with one, two and eight executors, in each
// of its ways of working, over real sockets. Each request says what the application does
// with it, and has a number of its own, which its answer repeats: so every answer can be
// told from every other.

// interpreted is an Executor with a GIL: who computes holds it, who blocks lets go of it.
type interpreted struct {
	h        *hammer
	computes atomic.Bool
}

// Running implements Locked.
func (e *interpreted) Running() (running, known bool) { return e.computes.Load(), true }

// Execute implements Executor.
func (e *interpreted) Execute(x *Exchange) {
	e.enter()
	e.h.execute(x, e.block)
	e.leave()
}

func (e *interpreted) enter() {
	e.h.gil.Lock()
	e.computes.Store(true)
}

func (e *interpreted) leave() {
	e.computes.Store(false)
	e.h.gil.Unlock()
}

func (e *interpreted) block(f func()) {
	e.leave()
	f()
	e.enter()
}

// hammer is what the application and the clients of one run have in common.
type hammer struct {
	*harness
	gil  sync.Mutex
	hold sync.RWMutex // what hangs waits for its end

	prepared, released atomic.Int64
	executed           sync.Map // by number: how often
	file               string
}

const fileText = "what a file holds"

// works are what a request may ask for. Each gives the bytes that its answer has behind
// the number.
var works = map[string]string{
	"small":  "",
	"closes": "",
	"spins":  "",
	"sleeps": "",
	"echo":   "", // the request's body
	"direct": strings.Repeat("d", gather+1),
	"large":  strings.Repeat("l", 200<<10),
	"parts":  "abc",
	"many":   strings.Repeat("0123456789", 1000),
	"flood":  strings.Repeat(strings.Repeat("f", 10_000), 4*highWater/10_000),
	"hints":  "",
	"file":   fileText,
	"fails":  "", // 500
	"hangs":  "", // as long as the test likes
}

// execute answers x; block runs what does not compute.
func (h *hammer) execute(x *Exchange, block func(func())) {
	_, rest, _ := strings.Cut(x.Record.Lookup("path"), "/")
	work, number, _ := strings.Cut(rest, "/")
	n, _ := h.executed.LoadOrStore(number, new(atomic.Int64))
	n.(*atomic.Int64).Add(1)
	text := works[work]
	whole := func() { _ = x.Respond(okHead(), []byte(number+text), true) }
	write := func(piece string) error { return x.Write([]byte(piece), false) }
	switch work {
	case "closes": // close() takes its time
		whole()
		block(func() { time.Sleep(3 * time.Millisecond) })
	case "spins":
		for end := time.Now().Add(200 * time.Microsecond); time.Now().Before(end); {
		}
		whole()
	case "sleeps":
		block(func() { time.Sleep(time.Millisecond) })
		whole()
	case "echo":
		_ = x.Respond(okHead(), append([]byte(number), x.Body.Bytes()...), true)
	case "parts":
		err := x.Respond(okHead(), []byte(number), false)
		for _, piece := range []string{"a", "b", "c"} {
			block(func() { time.Sleep(100 * time.Microsecond) })
			if err == nil {
				err = write(piece)
			}
		}
		_ = x.Write(nil, true)
	case "many", "flood":
		err := x.Respond(withLength(okHead(), int64(len(number)+len(text))), []byte(number), false)
		step := len(text) / 100
		for at := 0; at < len(text) && err == nil; at += step {
			block(func() { err = write(text[at:min(at+step, len(text))]) })
		}
		_ = x.Write(nil, true)
	case "hints":
		x.Inform([]byte("Link: </style.css>\r\n\r\n"))
		whole()
	case "file":
		f, err := os.Open(h.file)
		if err != nil {
			panic(err)
		}
		x.RespondFile(okHead("X-Number: "+number), FilePart{File: f, Length: int64(len(fileText))})
	case "fails":
		x.Fail(ErrFailed)
	case "hangs":
		block(func() { h.hold.RLock() })
		h.hold.RUnlock()
		whole()
	default:
		whole()
	}
}

// mode is one of the engine's ways of working.
type mode struct {
	name    string
	locked  bool // the executors share a gil, so there is a gate
	overlap bool // the assistant comes and goes
}

var modes = []mode{{name: "open"}, {name: "gate", locked: true}, {name: "overlap", locked: true, overlap: true}}

// startHammer serves with n executors.
func startHammer(t *testing.T, m mode, n int, settings ...setting) *hammer {
	t.Helper()
	checkDescriptors(t)
	h := &hammer{file: t.TempDir() + "/file"}
	if err := os.WriteFile(h.file, []byte(fileText), 0o600); err != nil {
		t.Fatal(err)
	}
	settings = append([]setting{pool(PoolLimits{Queue: 10_000}, n), func(s *Server, p *poolSetting) {
		fill := s.Prepare
		s.Prepare = func(r *Request, x *Exchange) error {
			h.prepared.Add(1)
			x.Owner = note{&h.released}
			return fill(r, x)
		}
		p.load = func() (runnable, cores int) { return 1, 8 }
		p.executor = func(app) Executor { return h.executor(m) }
	}}, settings...)
	h.harness = start(t, nil, settings...)
	if m.overlap {
		h.toggle()
	}
	return h
}

func (h *hammer) executor(m mode) Executor {
	if m.locked {
		return &interpreted{h: h}
	}
	return app(func(x *Exchange) { h.execute(x, func(f func()) { f() }) })
}

// toggle calls the assistant, and sends it away, until the test ends.
func (h *hammer) toggle() {
	end, ended := make(chan struct{}), make(chan struct{})
	p := h.srv.Pool
	go func() {
		defer close(ended)
		for on := true; ; on = !on {
			p.mu.Lock()
			p.overlap.on = on && !p.stopped
			if p.overlap.on && p.set != nil && !p.assisted {
				p.assisted = true
				go p.assist()
			}
			p.mu.Unlock()
			select {
			case <-end:
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}()
	h.t.Cleanup(func() { close(end); <-ended })
}

// checkDescriptors fails the test if it leaves descriptors open.
func checkDescriptors(t *testing.T) {
	count := func() int {
		all, err := os.ReadDir("/dev/fd")
		if err != nil {
			t.Skip("this system does not tell the open descriptors")
		}
		return len(all)
	}
	if set := newSet(); set != nil { // what stays as long as the process
		set.close()
	}
	listenLocal(t).Close()
	before := count()
	t.Cleanup(func() {
		if !t.Failed() {
			eventually(t, "its descriptors to be closed", func() bool { return count() <= before })
		}
	})
}

// account is what a run allows beside right answers.
type account struct {
	refused bool // 503 and 504 too
	ends    bool // connections may end at any time
}

var numbers atomic.Int64

// sent is a request on its way.
type sent struct {
	work, number, want string
	last               bool // its answer is the connection's last
}

// compose writes down a request for work.
func compose(r *rand.Rand, work string, last bool) (string, sent) {
	s := sent{work: work, number: strconv.FormatInt(numbers.Add(1), 10) + ";", last: last}
	s.want = s.number + works[work]
	var fields []string
	if last {
		fields = append(fields, "Connection: close")
	}
	line, body := "GET /"+work+"/"+s.number+" HTTP/1.1", ""
	if work == "echo" {
		body = strings.Repeat("e", r.IntN(40)*r.IntN(1000))
		s.want = s.number + body
		line = "POST" + line[3:]
		if r.IntN(4) == 0 {
			fields = append(fields, "Transfer-Encoding: chunked")
			body = fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
			if s.want == s.number {
				body = "0\r\n\r\n"
			}
		} else {
			fields = append(fields, "Content-Length: "+strconv.Itoa(len(body)))
		}
	}
	return request(line, fields...) + body, s
}

// talk is the life of one client's connection: requests one by one, or many at once,
// whole or in pieces. It returns how many answers it got.
func (h *hammer) talk(r *rand.Rand, a account, pick []string) (answers int, err error) {
	nc, err := dial(h.addr)
	if err != nil {
		if a.ends {
			return 0, nil
		}
		return 0, err
	}
	defer nc.Close()
	rounds := 1 + r.IntN(5)
	for round := range rounds {
		var text strings.Builder
		var batch []sent
		for n := 1 + r.IntN(3)*r.IntN(4); n > 0 && (len(batch) == 0 || !batch[len(batch)-1].last); n-- {
			one, s := compose(r, pick[r.IntN(len(pick))], round == rounds-1 && n == 1 && r.IntN(2) == 0)
			text.WriteString(one)
			batch = append(batch, s)
		}
		if r.IntN(30) == 0 { // leaves in the midst
			_, _ = io.WriteString(nc, text.String()[:r.IntN(text.Len())])
			_ = nc.SetLinger(0)
			return answers, nil
		}
		half := r.IntN(10) == 0
		wrote := make(chan struct{})
		go func() { // beside the reading, as a flood of answers may have to be taken first
			defer close(wrote)
			if writePieces(r, nc, text.String()) == nil && half {
				_ = nc.CloseWrite()
			}
		}()
		n, over, err := h.read(nc, batch, a)
		answers += n
		<-wrote
		if over || err != nil {
			return answers, err
		}
		if half {
			if _, err := nc.r.ReadByte(); !errors.Is(err, io.EOF) && !a.ends {
				return answers, fmt.Errorf("after the last answer: %v", err)
			}
			return answers, nil
		}
	}
	return answers, nil
}

// writePieces writes text, often cut at some bytes.
func writePieces(r *rand.Rand, w io.Writer, text string) error {
	for r.IntN(3) == 0 && len(text) > 1 {
		at := 1 + r.IntN(len(text)-1)
		if _, err := io.WriteString(w, text[:at]); err != nil {
			return err
		}
		pause(r)
		text = text[at:]
	}
	_, err := io.WriteString(w, text)
	return err
}

// read takes the answers to batch; over: the connection has ended, as it may.
func (h *hammer) read(c *client, batch []sent, a account) (n int, over bool, err error) {
	for _, s := range batch {
		res, body, err := readAnswer(c)
		switch {
		case err != nil && a.ends && endedAt(err):
			return n, true, nil
		case err != nil:
			return n, true, fmt.Errorf("%s %s: %w", s.work, s.number, err)
		case a.refused && (res.StatusCode == 503 || res.StatusCode == 504):
		case s.work == "fails":
			if res.StatusCode != 500 {
				return n, true, fmt.Errorf("%s %s: %d", s.work, s.number, res.StatusCode)
			}
		case s.work == "file":
			body = append([]byte(res.Header.Get("X-Number")), body...)
			fallthrough
		default:
			if res.StatusCode != 200 || string(body) != s.want {
				return n, true, fmt.Errorf("%s %s: %d %.60q, want %.60q", s.work, s.number, res.StatusCode, body, s.want)
			}
			if ran, ok := h.executed.Load(s.number); !ok || ran.(*atomic.Int64).Load() != 1 {
				return n, true, fmt.Errorf("%s %s: not executed once", s.work, s.number)
			}
		}
		n++
		if res.Close {
			if !s.last && !a.ends {
				return n, true, fmt.Errorf("%s %s: its answer closes the connection", s.work, s.number)
			}
			if _, err := c.r.ReadByte(); err == nil {
				return n, true, fmt.Errorf("%s %s: more behind the last answer", s.work, s.number)
			}
			return n, true, nil
		}
	}
	return n, false, nil
}

// readAnswer reads one answer, hints apart.
func readAnswer(c *client) (*http.Response, []byte, error) {
	for {
		res, err := http.ReadResponse(c.r, nil)
		if err != nil {
			return nil, nil, err
		}
		if res.StatusCode == 103 {
			continue
		}
		body, err := io.ReadAll(res.Body)
		return res, body, err
	}
}

// endedAt tells whether a connection has ended, not just kept silent.
func endedAt(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || ending(err) == "RESET"
}

// clients lets n clients talk, one connection after the other, until it is over; it
// returns how many answers they got.
func (h *hammer) clients(n int, a account, pick []string, over <-chan struct{}) int64 {
	var all sync.WaitGroup
	var answers atomic.Int64
	for i := range n {
		r := rand.New(rand.NewPCG(uint64(i), 7))
		all.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				got, err := h.talk(r, a, pick)
				answers.Add(int64(got))
				if err != nil {
					h.t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return answers.Load()
}

// balanced wants each exchange to be let go of by both ends, once. The server is down.
func (h *hammer) balanced() {
	h.t.Helper()
	eventually(h.t, "all exchanges to be released", func() bool { return h.released.Load() == h.prepared.Load() })
	if s := h.srv.Pool.Stats(); s.Busy != 0 || s.Waiting != 0 {
		h.t.Errorf("at the end: %+v", s)
	}
	if n := h.srv.Connections(); n != 0 {
		h.t.Errorf("%d connections at the end", n)
	}
}

// stop shuts the server down, in order.
func (h *hammer) stop() {
	h.t.Helper()
	h.wantShutdown(h.shutdown(context.Background()), nil)
	h.srv.Pool.Stop()
	h.executors.Wait()
}

// quick and all are what clients ask for.
var (
	quick = []string{"small", "small", "small", "echo", "closes", "spins", "direct"}
	all   = []string{
		"small", "small", "small", "closes", "spins", "sleeps", "echo", "echo", "direct", "large", "parts", "many", "flood", "hints", "file", "fails",
	}
)

func eachMode(t *testing.T, f func(t *testing.T, m mode, n int)) {
	for _, m := range modes {
		for _, n := range []int{1, 2, 8} {
			t.Run(m.name+"-"+strconv.Itoa(n), func(t *testing.T) { f(t, m, n) })
		}
	}
}

// TestHammer: each request gets its answer, once and in order, and nothing is left.
func TestHammer(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode, n int) {
		h := startHammer(t, m, n)
		over := make(chan struct{})
		time.AfterFunc(300*time.Millisecond, func() { close(over) })
		var answers atomic.Int64
		var both sync.WaitGroup
		both.Go(func() { answers.Add(h.clients(12, account{}, quick, over)) })
		both.Go(func() { answers.Add(h.clients(6, account{}, all, over)) })
		both.Wait()
		h.stop()
		h.balanced()
		t.Logf("%d answers", answers.Load())
	})
}

// TestHammerLimits: what is refused, and what waits for too long, is told so.
func TestHammerLimits(t *testing.T) {
	for _, l := range []PoolLimits{{Queue: 0}, {Queue: 3}, {Queue: 50, Wait: 2 * time.Millisecond}} {
		t.Run(fmt.Sprintf("%d-%v", l.Queue, l.Wait), func(t *testing.T) {
			eachMode(t, func(t *testing.T, m mode, n int) {
				h := startHammer(t, m, n, pool(l, n))
				over := make(chan struct{})
				time.AfterFunc(100*time.Millisecond, func() { close(over) })
				h.clients(12, account{refused: true}, quick, over)
				h.stop()
				h.balanced()
			})
		})
	}
}

// TestHammerBlocked: while all executors but one are blocked for as long as the test
// likes, the requests of others are answered.
func TestHammerBlocked(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode, n int) {
		if n == 1 {
			return
		}
		h := startHammer(t, m, n)
		var slowest time.Duration
		for range 4 {
			var hanging, others sync.WaitGroup
			h.hold.Lock()
			for range n - 1 {
				hanging.Go(func() { h.one("hangs") })
			}
			var took [8]time.Duration
			for i := range took {
				others.Go(func() {
					for range 20 {
						start := time.Now()
						h.one([]string{"small", "closes", "spins", "direct"}[i%4])
						took[i] = max(took[i], time.Since(start))
					}
				})
			}
			others.Wait() // that the others come back is the test
			h.hold.Unlock()
			hanging.Wait()
			for _, d := range took {
				slowest = max(slowest, d)
			}
		}
		h.stop()
		h.balanced()
		t.Logf("the slowest of those that were ready took %v", slowest)
		if slowest > patience/4 {
			t.Errorf("one that was ready took %v", slowest)
		}
	})
}

// one has one request answered, on a connection of its own.
func (h *hammer) one(work string) {
	nc, err := dial(h.addr)
	if err != nil {
		h.t.Error(err)
		return
	}
	defer nc.Close()
	text, s := compose(nil, work, false)
	if _, err := io.WriteString(nc, text); err != nil {
		h.t.Error(err)
		return
	}
	if _, _, err := h.read(nc, []sent{s}, account{}); err != nil {
		h.t.Error(err)
	}
}

// TestHammerLost: executors are given up and replaced, again and again.
func TestHammerLost(t *testing.T) {
	eachMode(t, func(t *testing.T, m mode, n int) {
		h := startHammer(t, m, n)
		h.hold.Lock()
		var lost atomic.Int64
		unwatch := h.srv.Pool.Watch(30*time.Millisecond, func(stalls []Stall) {
			for range stalls {
				lost.Add(1)
				h.executors.Go(func() { h.srv.Pool.Run(h.executor(m)) })
			}
		})
		over := make(chan struct{})
		time.AfterFunc(400*time.Millisecond, func() { close(over) })
		var both sync.WaitGroup
		both.Go(func() { h.clients(8, account{refused: true, ends: true}, quick, over) })
		both.Go(func() { h.clients(2, account{refused: true, ends: true}, append([]string{"hangs"}, all...), over) })
		both.Wait()
		unwatch()
		h.hold.Unlock()
		h.stop()
		h.balanced()
		t.Logf("%d were lost", lost.Load())
		if lost.Load() == 0 {
			t.Error("none was lost")
		}
	})
}

// TestHammerStop: the server stops, in each way that there is, while clients are at it.
// What they get is right as far as it goes.
func TestHammerStop(t *testing.T) {
	for name, stop := range map[string]func(h *hammer){
		"in order": func(h *hammer) {
			h.wantShutdown(h.shutdown(context.Background()), nil)
			h.srv.Pool.Stop()
		},
		"cut": func(h *hammer) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
			defer cancel()
			if err := receive(h.t, h.shutdown(ctx), "Shutdown"); err != nil && !errors.Is(err, context.DeadlineExceeded) {
				h.t.Error(err)
			}
			h.srv.Pool.Stop()
		},
		"the pool first": func(h *hammer) {
			h.srv.Pool.Stop()
			h.wantShutdown(h.shutdown(context.Background()), nil)
		},
		"given up": func(h *hammer) {
			h.srv.Pool.GiveUp(ErrStuck)
			h.wantShutdown(h.shutdown(context.Background()), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, func(t *testing.T, m mode, n int) {
				h := startHammer(t, m, n)
				over := make(chan struct{})
				var clients sync.WaitGroup
				clients.Go(func() { h.clients(12, account{refused: true, ends: true}, all, over) })
				time.Sleep(time.Duration(50+10*n) * time.Millisecond)
				stop(h)
				close(over)
				clients.Wait()
				h.executors.Wait()
				eventually(t, "the connections to end", func() bool { return h.srv.Connections() == 0 })
				h.balanced()
			})
		})
	}
}
