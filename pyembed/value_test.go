package pyembed

import (
	"encoding/hex"
	"math"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"
)

type (
	named   string
	numbers []int16
)

var east = time.FixedZone("", 2*60*60+30*60)

func bigInt(s string) *big.Int {
	v, ok := new(big.Int).SetString(s, 0)
	if !ok {
		panic(s)
	}
	return v
}

// valueRows are what goes in, and what comes back when it comes back as it went.
var valueRows = []struct {
	name string
	v    any
	hex  string // as marshal.dumps(v, 2) has it; "" where Go writes what it does not
	back any
}{
	{"None", nil, "4e", nil},
	{"true", true, "54", true},
	{"false", false, "46", false},
	{"zero", 0, "6900000000", int64(0)},
	{"minus one", int8(-1), "69ffffffff", int64(-1)},
	{"largest of 32 bits", int32(math.MaxInt32), "69ffffff7f", int64(math.MaxInt32)},
	{"smallest of 32 bits", math.MinInt32, "6900000080", int64(math.MinInt32)},
	{"33 bits", 1 << 31, "6c03000000000000000200", int64(1 << 31)},
	{"negative of 33 bits", -1<<31 - 1, "6cfdffffff010000000200", int64(-1<<31 - 1)},
	{"largest of 64 bits", int64(math.MaxInt64), "6c05000000ff7fff7fff7fff7f0700", int64(math.MaxInt64)},
	{"smallest of 64 bits", int64(math.MinInt64), "6cfbffffff00000000000000000800", int64(math.MinInt64)},
	{"unsigned of 64 bits", uint64(math.MaxUint64), "6c05000000ff7fff7fff7fff7f0f00", bigInt("18446744073709551615")},
	{"big", bigInt("0x123456789abcdef0123456789abcdef"), "", bigInt("0x123456789abcdef0123456789abcdef")},
	{"big, negative", bigInt("-0x8000000000000001"), "", bigInt("-0x8000000000000001")},
	{"big that is small", big.NewInt(7), "6907000000", int64(7)},
	{"no big", (*big.Int)(nil), "4e", nil},
	{"float", 1.5, "67000000000000f83f", 1.5},
	{"float of 32 bits", float32(0.5), "67000000000000e03f", 0.5},
	{"infinite", math.Inf(-1), "67000000000000f0ff", math.Inf(-1)},
	{"text", "hä\x00", "7504000000" + hex.EncodeToString([]byte("hä\x00")), "hä\x00"},
	{"named text", named("x"), "750100000078", "x"},
	{"bytes", []byte{0, 255}, "730200000000ff", []byte{0, 255}},
	{"array of bytes", [2]byte{1, 2}, "73020000000102", []byte{1, 2}},
	{"no bytes", []byte(nil), "7300000000", []byte{}},
	{"list", []any{1, "a", nil}, "5b0300000069010000007501000000614e", []any{int64(1), "a", nil}},
	{"no list", []string(nil), "5b00000000", []any{}},
	{"named list", numbers{1, -2}, "5b020000006901000000" + "69feffffff", []any{int64(1), int64(-2)}},
	{"floats", []float64{1.5}, "5b0100000067000000000000f83f", []any{1.5}},
	{"array", [1]bool{true}, "5b0100000054", []any{true}},
	{"dict", map[string]int{"b": 2, "a": 1}, "7b750100000061690100000075010000006269020000" + "0030", map[string]any{"a": int64(1), "b": int64(2)}},
	{"no dict", map[named]any(nil), "7b30", map[string]any{}},
	{"pointer", &[]string{"x"}, "5b01000000750100000078", []any{"x"}},
	{"no pointer", (*int)(nil), "4e", nil},
	{"in each other", []any{map[string]any{"k": [][]int{{1}}}}, "", []any{map[string]any{"k": []any{[]any{int64(1)}}}}},
	{"time", time.Date(2024, 2, 29, 12, 30, 1, 5000, time.UTC), "", time.Date(2024, 2, 29, 12, 30, 1, 5000, time.UTC)},
	{"old time, elsewhere", time.Date(1850, 1, 1, 0, 0, 0, 0, east), "", time.Date(1850, 1, 1, 0, 0, 0, 0, east)},
	{"durations", []time.Duration{-time.Second, 1500 * time.Nanosecond}, "", []any{-time.Second, time.Microsecond}},
}

// same compares times by what they say, as their pointers to zones differ.
func same(a, b any) bool {
	if t, ok := a.(time.Time); ok {
		u, ok := b.(time.Time)
		_, zone := t.Zone()
		_, other := u.Zone()
		return ok && t.Equal(u) && zone == other
	}
	return reflect.DeepEqual(a, b)
}

func TestValues(t *testing.T) {
	for _, row := range valueRows {
		var e encoder
		if err := e.value(row.v, maxDepth); err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		if got := hex.EncodeToString(e.out); row.hex != "" && got != row.hex {
			t.Errorf("%s: %s, want %s", row.name, got, row.hex)
		}
		if got, err := decode(e.out); err != nil || !same(got, row.back) {
			t.Errorf("%s: %#v, %v; want %#v", row.name, got, err, row.back)
		}
	}
}

func TestValuesRefused(t *testing.T) {
	var ring []any
	ring = append(ring, nil)
	ring[0] = ring
	for _, tt := range []struct {
		v    any
		want string
	}{
		{"\xff", "not UTF-8"},
		{named("\xc3"), "not UTF-8"},
		{map[string]any{"\xff": 1}, "not UTF-8"},
		{[]any{1, map[string]any{"x": make(chan int)}}, `[1]: ["x"]: a chan int`},
		{struct{ A int }{1}, "a struct { A int }"},
		{map[int]string{1: "a"}, "keys are not strings"},
		{func() {}, "a func()"},
		{complex(1, 2), "a complex128"},
		{ring, "too deeply"},
		{time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), "12000"},
	} {
		var e encoder
		if err := e.value(tt.v, maxDepth); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%T: %v, want %q in it", tt.v, err, tt.want)
		}
	}
}

func TestDecodeRefused(t *testing.T) {
	deep := strings.Repeat("5b01000000", maxDepth+1) + "4e"
	for _, text := range []string{
		"", "4e4e", "69", "69010000", "6c", "6c0100000001", "6cffffff7f", "6c00000080", "67", "75", "75020000" + "0061", "75ffffffff61",
		"5b", "5b02000000" + "4e", "5bffffff7f4e", "5bffffffff", "7b", "7b4e", "7b4e4e30", "7b750100000061", "28020000002e6905000000",
		"28030000002e69000000006700", "280000000" + "02e", "28", "7a", "2e", deep,
	} {
		p, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(text)
		}
		if v, err := decode(p); err == nil {
			t.Errorf("%.40s: %#v", text, v)
		}
	}
}

// FuzzDecode: whatever comes, there is an error or a value that can go back in.
func FuzzDecode(f *testing.F) {
	for _, row := range valueRows {
		var e encoder
		if err := e.value(row.v, maxDepth); err != nil {
			f.Fatal(err)
		}
		f.Add(e.out)
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		v, err := decode(p)
		if err != nil {
			return
		}
		var e encoder
		if err := e.value(v, maxDepth); err != nil {
			if !strings.Contains(err.Error(), "UTF-8") && !strings.Contains(err.Error(), "the year") {
				t.Fatal(err)
			}
			return
		}
		again, err := decode(e.out)
		if err != nil {
			t.Fatal(err)
		}
		var f encoder
		if err := f.value(again, maxDepth); err != nil || string(f.out) != string(e.out) {
			t.Errorf("%v\n%x\n%x", err, e.out, f.out)
		}
	})
}
