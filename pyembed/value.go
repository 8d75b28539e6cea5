package pyembed

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Values cross as bytes of CPython's marshal, format 2: both interpreters of it are
// C, and 3.10 to 3.14 write and read it alike. gowsgi/calls.py, the other side, says
// how times and durations are written. All numbers are little-endian.
const (
	markNone    = 'N'
	markTrue    = 'T'
	markFalse   = 'F'
	markInt     = 'i' // 32 bits
	markLong    = 'l' // 32 bits, how many digits, negative for negative numbers; digits of 15 bits in 16
	markFloat   = 'g' // 64 bits
	markText    = 'u' // 32 bits, how many bytes; UTF-8
	markBytes   = 's' // 32 bits, how many
	markTuple   = '(' // 32 bits, how many items
	markList    = '[' // the same
	markDict    = '{' // keys and values in turn
	markDictEnd = '0'
	markDots    = '.' // Ellipsis

	tagTime     = 0
	tagDuration = 1

	digitBits = 15
	maxDepth  = 500 // of values in values; Python's own limit is higher
)

var errDeep = errors.New("values are nested too deeply")

// encoder writes Go values.
type encoder struct {
	out    []byte
	tagged bool // there are times or durations
}

func (e *encoder) size(mark byte, n int) error {
	if n > math.MaxInt32 {
		return fmt.Errorf("%d bytes or items in one value are more than fit", n)
	}
	e.out = binary.LittleEndian.AppendUint32(append(e.out, mark), uint32(n))
	return nil
}

func (e *encoder) value(v any, depth int) error {
	switch v := v.(type) {
	case nil:
		e.out = append(e.out, markNone)
	case bool:
		e.bool(v)
	case int:
		e.int(int64(v))
	case int64:
		e.int(v)
	case float64:
		e.float(v)
	case string:
		return e.text(v)
	case []byte:
		return e.bytes(v)
	case time.Time:
		if y := v.Year(); y < 1 || y > 9999 {
			return fmt.Errorf("the year %d is not one that datetime has", y)
		}
		_, offset := v.Zone()
		return e.tag(tagTime, v.UnixMicro(), int64(offset))
	case time.Duration:
		return e.tag(tagDuration, v.Microseconds())
	case *big.Int:
		if v == nil {
			e.out = append(e.out, markNone)
			return nil
		}
		return e.big(v)
	default:
		return e.reflected(reflect.ValueOf(v), depth)
	}
	return nil
}

// reflected writes values of all other types.
func (e *encoder) reflected(v reflect.Value, depth int) error {
	if depth == 0 {
		return errDeep
	}
	switch v.Kind() {
	case reflect.Bool:
		e.bool(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.int(v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		u := v.Uint()
		if u > math.MaxInt64 {
			return e.big(new(big.Int).SetUint64(u))
		}
		e.int(int64(u))
	case reflect.Float32, reflect.Float64:
		e.float(v.Float())
	case reflect.String:
		return e.text(v.String())
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			e.out = append(e.out, markNone)
			return nil
		}
		return e.value(v.Elem().Interface(), depth-1)
	case reflect.Slice, reflect.Array:
		return e.list(v, depth)
	case reflect.Map:
		return e.dict(v, depth)
	default:
		return fmt.Errorf("a %s has no counterpart in Python", v.Type())
	}
	return nil
}

func (e *encoder) list(v reflect.Value, depth int) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		p := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(p), v)
		return e.bytes(p)
	}
	if err := e.size(markList, v.Len()); err != nil {
		return err
	}
	for i := range v.Len() {
		if err := e.item(v.Index(i), depth-1); err != nil {
			return fmt.Errorf("[%d]: %w", i, err)
		}
	}
	return nil
}

// item is value without an allocation for each number of a slice.
func (e *encoder) item(v reflect.Value, depth int) error {
	if k := v.Kind(); k >= reflect.Bool && k <= reflect.Float64 && v.Type() != reflect.TypeFor[time.Duration]() {
		return e.reflected(v, depth)
	}
	return e.value(v.Interface(), depth)
}

func (e *encoder) dict(v reflect.Value, depth int) error {
	if v.Type().Key().Kind() != reflect.String {
		return fmt.Errorf("a %s has no counterpart in Python: its keys are not strings", v.Type())
	}
	keys := v.MapKeys()
	// One call is like another, then.
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	e.out = append(e.out, markDict)
	for _, key := range keys {
		if err := e.text(key.String()); err != nil {
			return err
		}
		if err := e.item(v.MapIndex(key), depth-1); err != nil {
			return fmt.Errorf("[%q]: %w", key.String(), err)
		}
	}
	e.out = append(e.out, markDictEnd)
	return nil
}

func (e *encoder) bool(v bool) {
	if v {
		e.out = append(e.out, markTrue)
	} else {
		e.out = append(e.out, markFalse)
	}
}

func (e *encoder) int(v int64) {
	if int64(int32(v)) == v {
		e.out = binary.LittleEndian.AppendUint32(append(e.out, markInt), uint32(int32(v)))
		return
	}
	size := uint64(v)
	if v < 0 {
		size = -size
	}
	var digits []uint16
	for ; size > 0; size >>= digitBits {
		digits = append(digits, uint16(size&(1<<digitBits-1)))
	}
	e.digits(digits, v < 0)
}

func (e *encoder) big(v *big.Int) error {
	if v.IsInt64() {
		e.int(v.Int64())
		return nil
	}
	size := new(big.Int).Abs(v)
	var digits []uint16
	for i := 0; i < size.BitLen(); i += digitBits {
		digit := uint16(0)
		for bit := range digitBits {
			digit |= uint16(size.Bit(i+bit)) << bit
		}
		digits = append(digits, digit)
	}
	e.digits(digits, v.Sign() < 0)
	return nil
}

func (e *encoder) digits(digits []uint16, negative bool) {
	n := int32(len(digits))
	if negative {
		n = -n
	}
	e.out = binary.LittleEndian.AppendUint32(append(e.out, markLong), uint32(n))
	for _, d := range digits {
		e.out = binary.LittleEndian.AppendUint16(e.out, d)
	}
}

func (e *encoder) float(v float64) {
	e.out = binary.LittleEndian.AppendUint64(append(e.out, markFloat), math.Float64bits(v))
}

func (e *encoder) text(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("a string that is not UTF-8: pass bytes as []byte")
	}
	if err := e.size(markText, len(s)); err != nil {
		return err
	}
	e.out = append(e.out, s...)
	return nil
}

func (e *encoder) bytes(p []byte) error {
	if err := e.size(markBytes, len(p)); err != nil {
		return err
	}
	e.out = append(e.out, p...)
	return nil
}

func (e *encoder) tag(kind int64, numbers ...int64) error {
	e.tagged = true
	if err := e.size(markTuple, 2+len(numbers)); err != nil {
		return err
	}
	e.out = append(e.out, markDots)
	e.int(kind)
	for _, n := range numbers {
		e.int(n)
	}
	return nil
}

// decoder reads what Python wrote.
type decoder struct{ in []byte }

var errShort = errors.New("the result of the call is cut off")

func decode(p []byte) (any, error) {
	d := decoder{in: p}
	v, err := d.value(maxDepth)
	if err == nil && len(d.in) > 0 {
		err = fmt.Errorf("%d bytes follow the result of the call", len(d.in))
	}
	return v, err
}

func (d *decoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.in) {
		return nil, errShort
	}
	p := d.in[:n]
	d.in = d.in[n:]
	return p, nil
}

func (d *decoder) int32() (int, error) {
	p, err := d.take(4)
	if err != nil {
		return 0, err
	}
	return int(int32(binary.LittleEndian.Uint32(p))), nil
}

// sized is what follows its own size.
func (d *decoder) sized() ([]byte, error) {
	n, err := d.int32()
	if err != nil {
		return nil, err
	}
	return d.take(n)
}

func (d *decoder) value(depth int) (any, error) {
	if depth == 0 {
		return nil, errDeep
	}
	mark, err := d.take(1)
	if err != nil {
		return nil, err
	}
	switch mark[0] {
	case markNone:
		return nil, nil
	case markTrue:
		return true, nil
	case markFalse:
		return false, nil
	case markInt:
		n, err := d.int32()
		return int64(n), err
	case markLong:
		return d.long()
	case markFloat:
		p, err := d.take(8)
		if err != nil {
			return nil, err
		}
		return math.Float64frombits(binary.LittleEndian.Uint64(p)), nil
	case markText:
		p, err := d.sized()
		return string(p), err
	case markBytes:
		p, err := d.sized()
		return append([]byte{}, p...), err
	case markTuple:
		if len(d.in) > 4 && d.in[4] == markDots {
			return d.tagged()
		}
		return d.list(depth)
	case markList:
		return d.list(depth)
	case markDict:
		return d.dict(depth)
	}
	return nil, fmt.Errorf("the result of the call has an unknown form, %q", mark)
}

func (d *decoder) long() (any, error) {
	n, err := d.int32()
	if err != nil {
		return nil, err
	}
	negative := n < 0
	if negative {
		n = -n
	}
	p, err := d.take(2 * n)
	if err != nil {
		return nil, err
	}
	words := make([]big.Word, (n*digitBits+strconv.IntSize-1)/strconv.IntSize)
	for i := range n {
		digit := big.Word(binary.LittleEndian.Uint16(p[2*i:]))
		at, shift := i*digitBits/strconv.IntSize, i*digitBits%strconv.IntSize
		words[at] |= digit << shift
		if rest := strconv.IntSize - shift; rest < digitBits && at+1 < len(words) {
			words[at+1] |= digit >> rest
		}
	}
	v := new(big.Int).SetBits(words)
	if negative {
		v.Neg(v)
	}
	if v.IsInt64() {
		return v.Int64(), nil
	}
	return v, nil
}

func (d *decoder) list(depth int) (any, error) {
	n, err := d.int32()
	if err != nil {
		return nil, err
	}
	if n < 0 || n > len(d.in) { // an item has a byte at least
		return nil, errShort
	}
	items := make([]any, n)
	for i := range items {
		if items[i], err = d.value(depth - 1); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func (d *decoder) dict(depth int) (any, error) {
	items := map[string]any{}
	for {
		if len(d.in) > 0 && d.in[0] == markDictEnd {
			d.in = d.in[1:]
			return items, nil
		}
		key, err := d.value(depth - 1)
		if err != nil {
			return nil, err
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("a key of a dict is a %T", key)
		}
		if items[name], err = d.value(depth - 1); err != nil {
			return nil, err
		}
	}
}

// tagged reads what encoder.tag writes.
func (d *decoder) tagged() (any, error) {
	n, err := d.int32()
	if err != nil {
		return nil, err
	}
	d.in = d.in[1:] // the dots
	numbers := make([]int64, min(max(n-1, 0), 3))
	for i := range numbers {
		v, err := d.value(1)
		if err != nil {
			return nil, err
		}
		var ok bool
		if numbers[i], ok = v.(int64); !ok {
			return nil, fmt.Errorf("a time has a %T in it", v)
		}
	}
	switch {
	case n == 4 && numbers[0] == tagTime:
		zone := time.UTC
		if numbers[2] != 0 {
			zone = time.FixedZone("", int(numbers[2]))
		}
		return time.UnixMicro(numbers[1]).In(zone), nil
	case n == 3 && numbers[0] == tagDuration:
		if us := numbers[1]; us > math.MaxInt64/1000 || us < math.MinInt64/1000 {
			return nil, errors.New("a timedelta is longer than a time.Duration can be")
		}
		return time.Duration(numbers[1]) * time.Microsecond, nil
	}
	return nil, errors.New("the result of the call has an unknown form")
}
