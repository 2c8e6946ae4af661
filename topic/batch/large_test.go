package batch

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/streamql/streamql/topic"
)

// small are limits that a test exceeds quickly.
var small = caps{whole: 1 << 10, held: 64 << 10, batch: 1 << 20, record: 16 << 10}

// packed returns a batch whose records are compressed by pack.
func packed(t testing.TB, c Codec, base topic.Offset, pack func([]byte) []byte, records ...topic.Record) []byte {
	t.Helper()
	raw := write(t, None, base, records...)
	raw = append(raw[:HeaderSize:HeaderSize], pack(raw[HeaderSize:])...)
	binary.BigEndian.PutUint32(raw[atLength:], uint32(len(raw)-12))
	binary.BigEndian.PutUint16(raw[atAttributes:], uint16(c))
	return seal(raw)
}

// packers are the compressed formats that producers use.
var packers = []struct {
	name string
	c    Codec
	pack func([]byte) []byte
}{
	{"gzip", Gzip, func(b []byte) []byte { out, _ := compress(nil, b, Gzip); return out }},
	{"snappy stream", Snappy, xerialOf},
	{"lz4", LZ4, lz4Of},
	{"zstd", Zstd, func(b []byte) []byte { out, _ := compress(nil, b, Zstd); return out }},
	{"zstd stream", Zstd, func(b []byte) []byte {
		var out bytes.Buffer
		w, _ := zstd.NewWriter(&out)
		w.Write(b)
		w.Close()
		return out.Bytes()
	}},
}

func xerialOf(b []byte) []byte {
	out := []byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01")
	for len(b) > 0 {
		n := min(len(b), 32<<10)
		block, _ := compress(nil, b[:n], Snappy)
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(block))), block...)
		b = b[n:]
	}
	return out
}

// lz4Of compresses runs of one byte, and nothing else, into blocks of 64 KiB.
func lz4Of(b []byte) []byte {
	out := append(binary.LittleEndian.AppendUint32(nil, lz4Magic), 0x40, 0x40, 0)
	for len(b) > 0 {
		n := min(len(b), 64<<10)
		block := lz4Runs(b[:n])
		out = append(binary.LittleEndian.AppendUint32(out, uint32(len(block))), block...)
		b = b[n:]
	}
	return append(out, 0, 0, 0, 0)
}

func lz4Runs(b []byte) (out []byte) {
	length := func(n int) {
		for n -= 15; n >= 255; n -= 255 {
			out = append(out, 255)
		}
		out = append(out, byte(n))
	}
	sequence := func(literals []byte, match int) {
		out = append(out, byte(min(len(literals), 15)<<4|min(max(match-4, 0), 15)))
		if len(literals) >= 15 {
			length(len(literals))
		}
		out = append(out, literals...)
		if match > 0 {
			if out = append(out, 1, 0); match-4 >= 15 {
				length(match - 4)
			}
		}
	}
	from := 0
	for i := 0; i < len(b); i++ {
		run := 1
		for i+run < len(b)-5 && b[i+run] == b[i] {
			run++
		}
		if run > 8 {
			sequence(b[from:i+1], run-1)
			from = i + run
		}
		i += run - 1
	}
	sequence(b[from:], 0)
	return out
}

// pieces walks raw to its end with limits.
func pieces(t *testing.T, raw []byte, c caps, window Window) (got []string, bad []topic.Bad, walks int) {
	t.Helper()
	for at := 0; at < len(raw) && window.From < window.To; walks++ {
		var f topic.Fetch
		w := window
		n, err := (&walk{Window: w, caps: c, f: &f}).all(raw[at:])
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 && f.Next <= window.From {
			t.Fatalf("the walk stands still at offset %d", window.From)
		}
		for i := range f.Rows() {
			got = append(got, fmt.Sprintf("%d:%s:%d", f.Offsets[i], f.Key.At(i), len(f.Value.At(i))))
			if f.Offsets[i] < window.From || f.Offsets[i] >= f.Next {
				t.Fatalf("offset %d is not in [%d, %d)", f.Offsets[i], window.From, f.Next)
			}
		}
		if held := len(f.Value.Data); held > c.held+c.whole {
			t.Fatalf("a walk holds %d bytes", held)
		}
		bad = append(bad, f.Bad...)
		at, window.From = at+n, f.Next
	}
	return got, bad, walks
}

// TestLargeBatch: of a batch far above the limits, every record within the limits is read, and
// every other record is reported with its offset and size.
func TestLargeBatch(t *testing.T) {
	var records []topic.Record
	var want []string
	for i := range 40 {
		size := 5_000
		if i == 3 || i == 20 {
			size = 20_000 + 10_000*i
		} else {
			want = append(want, fmt.Sprintf("%d:k%d:%d", 100+i, i, size))
		}
		records = append(
			records,
			topic.Record{Key: fmt.Appendf(nil, "k%d", i), Value: bytes.Repeat([]byte{'A'}, size), Time: int64(i)},
		)
	}
	for _, p := range packers {
		t.Run(p.name, func(t *testing.T) {
			raw := packed(t, p.c, 100, p.pack, records...)
			raw = append(raw, write(t, None, 140, topic.Record{Key: []byte("after"), Value: []byte("x")})...)
			got, bad, walks := pieces(t, raw, small, Window{From: 100, To: topic.End, Pass: true})
			if all := append(want[:len(want):len(want)], "140:after:1"); strings.Join(
				got,
				" ",
			) != strings.Join(
				all,
				" ",
			) {
				t.Errorf("read %v", got)
			}
			if len(bad) != 2 || bad[0].From != 103 || bad[0].To != 104 || bad[0].Size>>8 != 50_000>>8 ||
				bad[1].From != 120 ||
				bad[1].Size>>8 != 220_000>>8 {
				t.Errorf("passed over %v", bad)
			}
			for _, b := range bad {
				if !errors.Is(b, topic.ErrOversized) || b.Time != 39 {
					t.Errorf("%v, time %d", b, b.Time)
				}
			}
			if walks < 3 {
				t.Errorf("%d walks", walks)
			}
			got, bad, _ = pieces(t, raw, small, Window{From: 104, To: 120, Pass: true})
			if len(got) != 16 || len(bad) != 0 {
				t.Errorf("of offsets 104 to 119: %v, %v", got, bad)
			}
		})
	}
}

// TestBomb: a batch without an end is skipped from the record at the limit on.
func TestBomb(t *testing.T) {
	first := topic.Record{Key: []byte("first"), Value: []byte("x")}
	bomb := topic.Record{Value: bytes.Repeat([]byte{'A'}, 3<<20)}
	for _, p := range packers {
		t.Run(p.name, func(t *testing.T) {
			raw := append(packed(t, p.c, 7, p.pack, first, bomb, first), write(t, None, 10, first)...)
			got, bad, _ := pieces(t, raw, small, Window{From: 7, To: topic.End, Pass: true})
			if strings.Join(got, " ") != "7:first:1 10:first:1" && strings.Join(got, " ") != "10:first:1" {
				// one frame and one window: the whole batch
				t.Errorf("read %v", got)
			}
			var at topic.Offset
			for _, b := range bad {
				if !errors.Is(b, topic.ErrOversized) {
					t.Error(b)
				}
				at = b.To
			}
			if at != 10 {
				t.Errorf("passed over %v", bad)
			}
			var f topic.Fetch
			if n, err := (&walk{Window: all(), caps: small, f: &f}).all(raw); n != 0 || !errors.Is(err, ErrCorrupt) ||
				!errors.Is(err, errTooLarge) {
				t.Errorf("where nothing may be passed over: %d, %v", n, err)
			}
		})
	}
}

// TestBareSnappyBlock: a single raw block cannot be streamed and is skipped as a whole,
// according to its header.
func TestBareSnappyBlock(t *testing.T) {
	raw := packed(
		t,
		Snappy,
		0,
		func(b []byte) []byte { out, _ := compress(nil, b, Snappy); return out },
		topic.Record{Value: make([]byte, 1<<20)},
	)
	_, bad, _ := pieces(t, raw, small, Window{To: topic.End, Pass: true})
	if len(bad) != 1 || bad[0].From != 0 || bad[0].To != 1 || !errors.Is(bad[0], topic.ErrOversized) {
		t.Errorf("%v", bad)
	}
}

// TestUnreadableBatch: data with a valid checksum that cannot be decoded was written
// incorrectly by its producer.
func TestUnreadableBatch(t *testing.T) {
	good := topic.Record{Value: []byte("x")}
	for _, c := range []Codec{None, Gzip, Snappy, LZ4, Zstd, 7} {
		raw := packed(
			t,
			c,
			5,
			func([]byte) []byte { return []byte("this is nothing that anybody could read") },
			good,
			good,
		)
		raw = append(raw, write(t, None, 7, good)...)
		var f topic.Fetch
		n, err := Walk(&f, raw, Window{To: topic.End, Pass: true})
		if err != nil || n != len(raw) || f.Rows() != 1 || f.Next != 8 || len(f.Bad) != 1 || f.Bad[0].From != 5 ||
			f.Bad[0].To != 7 ||
			!errors.Is(f.Bad[0], topic.ErrUnreadable) {
			t.Errorf("%s: %d, %v, %+v", c, n, err, f)
		}
		raw[len(raw)-1] ^= 1
		if _, err := Walk(&f, raw, Window{To: topic.End, Pass: true}); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: a wrong checksum: %v", c, err)
		}
	}
}

// TestBombInLittleMemory: memory does not depend on the size that a batch claims.
func TestBombInLittleMemory(t *testing.T) {
	const size = 100 << 20
	// attributes, timestamp, offset, no key
	head := append(binary.AppendVarint(nil, size), 0, 0, 0, 1)
	one := append(binary.AppendVarint(head, size-9), make([]byte, size-8)...) // no headers
	for _, p := range packers {
		raw := packed(t, p.c, 0, func([]byte) []byte { return p.pack(one) }, topic.Record{})
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var f topic.Fetch
		_, err := Walk(&f, raw, Window{To: topic.End, Pass: true})
		runtime.ReadMemStats(&after)
		if err != nil || len(f.Bad) != 1 || !errors.Is(f.Bad[0], topic.ErrOversized) {
			t.Errorf("%s: %v, %v", p.name, err, f.Bad)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > size*9/10 {
			t.Errorf("%s: %d MiB were allocated for a batch of %d KiB", p.name, got>>20, len(raw)>>10)
		}
	}
}
