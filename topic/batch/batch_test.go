package batch

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"testing"

	"github.com/streamql/streamql/topic"
	"pgregory.net/rapid"
)

var codecs = []Codec{None, Gzip, Snappy, Zstd}

// read returns the rows of a fetch as records, with their offsets.
func read(f *topic.Fetch) (records []topic.Record, offsets []topic.Offset) {
	for i := range f.Rows() {
		r := topic.Record{Key: f.Key.At(i), Value: f.Value.At(i), Time: f.Times[i]}
		if f.Headers != nil {
			r.Headers = f.Headers[i]
		}
		records = append(records, r)
	}
	return records, f.Offsets
}

func all() Window { return Window{To: topic.End} }

func write(t testing.TB, c Codec, base topic.Offset, records ...topic.Record) []byte {
	t.Helper()
	w := Writer{Codec: c}
	for i := range records {
		if err := w.Append(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	b, err := w.Flush(nil, base)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	bytesOrNil := rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 0, 300))
	record := rapid.Custom(func(t *rapid.T) topic.Record {
		r := topic.Record{
			Key:   bytesOrNil.Draw(t, "key"),
			Value: bytesOrNil.Draw(t, "value"),
			Time:  rapid.Int64().Draw(t, "time"),
		}
		for range rapid.IntRange(-5, 3).Draw(t, "headers") {
			r.Headers = append(
				r.Headers,
				topic.Header{Key: rapid.String().Draw(t, "header"), Value: bytesOrNil.Draw(t, "headerValue")},
			)
		}
		return r
	})
	rapid.Check(t, func(t *rapid.T) {
		base := topic.Offset(rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "base"))
		var raw []byte
		var want []topic.Record
		var offsets []topic.Offset
		next := base
		for range rapid.IntRange(1, 4).Draw(t, "batches") {
			w := Writer{Codec: rapid.SampledFrom(codecs).Draw(t, "codec")}
			delta := int32(0)
			for range rapid.IntRange(1, 20).Draw(t, "records") {
				delta += int32(rapid.IntRange(0, 3).Draw(t, "hole"))
				r := record.Draw(t, "record")
				if err := w.AppendAt(delta, &r); err != nil {
					t.Fatal(err)
				}
				want, offsets = append(want, r), append(offsets, next+topic.Offset(delta))
				delta++
			}
			var err error
			if raw, err = w.Flush(raw, next); err != nil {
				t.Fatal(err)
			}
			next += topic.Offset(delta)
		}
		var f topic.Fetch
		n, err := Walk(&f, raw, all())
		if err != nil || n != len(raw) || f.Next != next {
			t.Fatalf("walked %d of %d bytes to %d (want %d): %v", n, len(raw), f.Next, next, err)
		}
		got, at := read(&f)
		if !reflect.DeepEqual(at, offsets) {
			t.Fatalf("offsets %v, want %v", at, offsets)
		}
		for i := range want {
			if !sameRecord(got[i], want[i]) {
				t.Fatalf("record %d: %v, want %v", i, got[i], want[i])
			}
		}
	})
}

func sameRecord(a, b topic.Record) bool {
	if !sameBytes(a.Key, b.Key) || !sameBytes(a.Value, b.Value) || a.Time != b.Time ||
		len(a.Headers) != len(b.Headers) {
		return false
	}
	for i := range a.Headers {
		if a.Headers[i].Key != b.Headers[i].Key || !sameBytes(a.Headers[i].Value, b.Headers[i].Value) {
			return false
		}
	}
	return true
}

func sameBytes(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }

func TestWindow(t *testing.T) {
	var raw []byte
	last := 0
	for base := topic.Offset(0); base < 30; base += 10 {
		last = len(raw)
		var records []topic.Record
		for i := range topic.Offset(10) {
			records = append(records, topic.Record{Value: fmt.Append(nil, base+i), Time: int64(i)})
		}
		raw = append(raw, write(t, None, base, records...)...)
	}
	for _, c := range []struct {
		w           Window
		first, rows int
		next        topic.Offset
	}{
		{Window{To: 30}, 0, 30, 30},
		{Window{From: 7, To: 12}, 7, 5, 12},
		{Window{From: 7, To: 10}, 7, 3, 10},
		{Window{From: 25, To: topic.End}, 25, 5, 30},
		{Window{To: topic.End, Rows: 1}, 0, 10, 10},
		{Window{To: topic.End, Rows: 11}, 0, 20, 20},
		{Window{From: 40, To: 50}, 0, 0, 30},
	} {
		var f topic.Fetch
		if _, err := Walk(&f, raw, c.w); err != nil {
			t.Fatal(err)
		}
		if f.Rows() != c.rows || f.Next != c.next || c.rows > 0 && string(f.Value.At(0)) != fmt.Sprint(c.first) {
			t.Errorf("%+v: %d rows, next %d", c.w, f.Rows(), f.Next)
		}
	}
	cut := len(raw) - 1
	var f topic.Fetch
	if n, err := Walk(&f, raw[:cut], all()); err != nil || n != last || f.Rows() != 20 {
		t.Errorf("cut batch: %d bytes, %d rows, %v", n, f.Rows(), err)
	}
}

// TestFlippedBytes: every changed byte is detected, or belongs to a field that the checksum
// does not cover.
func TestFlippedBytes(t *testing.T) {
	raw := write(
		t,
		None,
		5,
		topic.Record{
			Key:     []byte("k"),
			Value:   []byte("value"),
			Time:    1000,
			Headers: []topic.Header{{Key: "h", Value: []byte("v")}},
		},
	)
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 0x41
		var f topic.Fetch
		n, err := Walk(&f, bad, all())
		switch {
		case i < atLength || i >= 12 && i < atMagic: // base offset, leader epoch
		case i < 12: // the length: longer than the bytes, or an error
			if n != 0 && err == nil {
				t.Errorf("byte %d: not noticed", i)
			}
		case !errors.Is(err, ErrCorrupt):
			t.Errorf("byte %d: %v", i, err)
		}
	}
}

// seal sets the checksum of a batch that was built by hand.
func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b[atLength:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[atCRC:], crc32.Checksum(b[atAttributes:], castagnoli))
	return b
}

func TestMalformed(t *testing.T) {
	good := write(t, None, 0, topic.Record{Value: []byte("abc")}, topic.Record{Value: []byte("def")})
	for name, change := range map[string]func(b []byte) []byte{
		"more records than bytes":  func(b []byte) []byte { binary.BigEndian.PutUint32(b[atCount:], 2_000_000_000); return b },
		"negative count":           func(b []byte) []byte { binary.BigEndian.PutUint32(b[atCount:], math.MaxUint32); return b },
		"fewer records than bytes": func(b []byte) []byte { binary.BigEndian.PutUint32(b[atCount:], 1); return b },
		"negative delta":           func(b []byte) []byte { binary.BigEndian.PutUint32(b[atLastDelta:], math.MaxUint32); return b },
		"last delta too small":     func(b []byte) []byte { binary.BigEndian.PutUint32(b[atLastDelta:], 0); return b },
		"record too long":          func(b []byte) []byte { b[HeaderSize] = 0x7e; return b },
		"key too long":             func(b []byte) []byte { b[HeaderSize+4] = 0x7e; return b },
		"key of length -2":         func(b []byte) []byte { b[HeaderSize+4] = 3; return b },
		"headers missing":          func(b []byte) []byte { b[len(b)-1] = 2; return b },
		"endless varint":           func(b []byte) []byte { copy(b[HeaderSize:], bytes.Repeat([]byte{0xff}, 12)); return b },
		"unknown codec":            func(b []byte) []byte { b[atAttributes+1] = 7; return b },
		"not gzip":                 func(b []byte) []byte { b[atAttributes+1] = byte(Gzip); return b },
		"not snappy":               func(b []byte) []byte { b[atAttributes+1] = byte(Snappy); return b },
		"not lz4":                  func(b []byte) []byte { b[atAttributes+1] = byte(LZ4); return b },
		"not zstd":                 func(b []byte) []byte { b[atAttributes+1] = byte(Zstd); return b },
		"old version":              func(b []byte) []byte { b[atMagic] = 1; return b },
	} {
		var f topic.Fetch
		if _, err := Walk(&f, seal(change(bytes.Clone(good))), all()); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if f.Rows() != 0 {
			t.Errorf("%s: %d rows", name, f.Rows())
		}
	}
}

func TestBatchesBeforeABrokenOneAreKept(t *testing.T) {
	for _, c := range codecs {
		raw := append(
			write(t, c, 0, topic.Record{Value: []byte("a")}),
			write(t, c, 1, topic.Record{Value: []byte("b")})...)
		raw[len(raw)-1] ^= 1
		var f topic.Fetch
		n, err := Walk(&f, raw, all())
		if !errors.Is(err, ErrCorrupt) || n == 0 || f.Rows() != 1 || string(f.Value.At(0)) != "a" || f.Next != 1 {
			t.Errorf("%s: n %d, rows %d, next %d, %v", c, n, f.Rows(), f.Next, err)
		}
	}
}

func TestDecompressionIsBounded(t *testing.T) {
	bomb := make([]byte, 1<<20)
	for _, c := range []Codec{Gzip, Snappy, Zstd} {
		var records []byte
		switch c {
		case Snappy:
			records = binary.AppendUvarint(nil, 1<<31) // claims 2 GiB
		default:
			one, _ := compress(nil, bomb, c)
			records = bytes.Repeat(one, 5) // members and frames are concatenated
		}
		if _, err := decompress(nil, records, c, 4<<20); !errors.Is(err, errTooLarge) {
			t.Errorf("%s: %v", c, err)
		}
	}
	if _, err := unlz4(nil, lz4Bomb(), 4<<20); !errors.Is(err, errTooLarge) {
		t.Errorf("lz4: %v", err)
	}
}

// lz4FrameOf is a frame of one block.
func lz4FrameOf(block []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, lz4Magic)
	b = append(b, 0x60, 0x70, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(block)))
	b = append(b, block...)
	return append(b, 0, 0, 0, 0)
}

func lz4Bomb() []byte {
	block := []byte{0x1f, 'a', 1, 0} // one literal and a match of excessive length
	block = append(block, bytes.Repeat([]byte{255}, 5<<20/255)...)
	return lz4FrameOf(append(block, 0))
}

func TestLZ4(t *testing.T) {
	// "abcabcabcabcX": 3 literals, a match of 9 at distance 3, then the last literal.
	got, err := unlz4(nil, lz4FrameOf([]byte{0x35, 'a', 'b', 'c', 3, 0, 0x10, 'X'}), MaxDecoded)
	if err != nil || string(got) != "abcabcabcabcX" {
		t.Fatalf("%q, %v", got, err)
	}
	for _, bad := range [][]byte{{0x35, 'a', 'b', 'c', 4, 0}, {0x35, 'a'}, {0x35, 'a', 'b', 'c', 0, 0}, {0xf0}} {
		if _, err := unlz4(nil, lz4FrameOf(bad), MaxDecoded); err == nil {
			t.Errorf("%x: no error", bad)
		}
	}
}

func TestXerialSnappy(t *testing.T) {
	block, _ := compress(nil, []byte("hello"), Snappy)
	stream := append([]byte("\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"), 0, 0, 0, byte(len(block)))
	stream = append(stream, block...)
	if got, err := decompress(nil, stream, Snappy, MaxDecoded); err != nil || string(got) != "hello" {
		t.Fatalf("%q, %v", got, err)
	}
	for cut := len(stream) - 1; cut > 16; cut-- {
		if _, err := decompress(nil, stream[:cut], Snappy, MaxDecoded); err == nil {
			t.Errorf("cut at %d: no error", cut)
		}
	}
}

func TestControlBatches(t *testing.T) {
	marker := write(t, None, 3, topic.Record{Key: []byte{0, 0, 0, 1}, Value: []byte{0, 0, 0, 0, 0, 0}})
	binary.BigEndian.PutUint16(marker[atAttributes:], 16|32)
	raw := append(write(t, None, 0, topic.Record{Value: []byte("a")}), seal(marker)...)
	var f topic.Fetch
	var seen []Header
	w := all()
	w.Visit = func(h *Header) bool { seen = append(seen, *h); return true }
	if _, err := Walk(&f, raw, w); err != nil {
		t.Fatal(err)
	}
	if f.Rows() != 1 || f.Next != 4 || len(seen) != 2 || !seen[1].Control() || !seen[1].Marker || !seen[1].Commit ||
		seen[0].Marker {
		t.Fatalf("rows %d, next %d, seen %+v", f.Rows(), f.Next, seen)
	}
}

// TestKnownBytes decodes a batch that another client has written, field by field according to
// the protocol's definition.
func TestKnownBytes(t *testing.T) {
	raw, _ := hex.DecodeString(
		"0000000000000000" + "0000003e" + "ffffffff" + "02" + "00000000" + "0000" + "00000000" +
			"0000018bcfe56800" + "0000018bcfe56800" + "ffffffffffffffff" + "ffff" + "ffffffff" + "00000001" + "18" + "00" + "00" + "00" + "026b" + "0a68656c6c6f" + "00",
	)
	var f topic.Fetch
	if _, err := Walk(&f, seal(raw), all()); err != nil {
		t.Fatal(err)
	}
	if f.Rows() != 1 || string(f.Key.At(0)) != "k" || string(f.Value.At(0)) != "hello" ||
		f.Times[0] != 1700000000000 {
		t.Fatalf("%+v", f)
	}
	mine := write(t, None, 0, topic.Record{Key: []byte("k"), Value: []byte("hello"), Time: 1700000000000})
	if !bytes.Equal(mine, raw) {
		t.Fatalf("written\n%x, want\n%x", mine, raw)
	}
}

func TestWriterRefuses(t *testing.T) {
	var w Writer
	if err := w.Append(&topic.Record{Value: make([]byte, MaxRecord)}); err == nil {
		t.Error("a record of more than 16 MiB: no error")
	}
	if w.Count() != 0 {
		t.Error("the refused record was counted")
	}
	w.Codec = LZ4
	w.Append(&topic.Record{Value: []byte("a")})
	if _, err := w.Flush(nil, 0); err == nil {
		t.Error("lz4: no error")
	}
}

func FuzzWalk(f *testing.F) {
	for _, c := range codecs {
		f.Add(
			write(
				f,
				c,
				7,
				topic.Record{Key: []byte("k"), Value: []byte("v"), Headers: []topic.Header{{Key: "h"}}},
				topic.Record{},
			),
		)
	}
	f.Add(seal(write(f, None, 0, topic.Record{})[:HeaderSize]))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if len(raw) >= HeaderSize && len(raw) < 1<<16 {
			seal(raw) // so that the fields after the checksum are reached
		}
		var out topic.Fetch
		n, err := Walk(&out, raw, all())
		if n > len(raw) || err == nil && out.Rows() > 0 && n == 0 {
			t.Fatalf("%d of %d bytes", n, len(raw))
		}
		for i := range out.Rows() {
			_, _ = out.Key.At(i), out.Value.At(i)
		}
	})
}

func benchRaw(b *testing.B, c Codec, rows, size int) []byte {
	w := Writer{Codec: c}
	value := bytes.Repeat([]byte("x"), size)
	var raw []byte
	for i := range rows {
		r := topic.Record{Key: fmt.Appendf(nil, "%06d", i), Value: value, Time: 1700000000000 + int64(i)}
		if err := w.Append(&r); err != nil {
			b.Fatal(err)
		}
		if w.Count() == 4096 {
			raw, _ = w.Flush(raw, topic.Offset(i-4095))
		}
	}
	return raw
}

func BenchmarkWalk(b *testing.B) {
	for _, c := range codecs {
		b.Run(c.String(), func(b *testing.B) {
			const rows = 4096 * 4
			raw := benchRaw(b, c, rows, 32)
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				var f topic.Fetch
				if _, err := Walk(&f, raw, all()); err != nil || f.Rows() != rows {
					b.Fatal(f.Rows(), err)
				}
			}
			b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

func BenchmarkWrite(b *testing.B) {
	var w Writer
	r := topic.Record{Key: []byte("000001"), Value: bytes.Repeat([]byte("x"), 32), Time: 1700000000000}
	var raw []byte
	for b.Loop() {
		for range 4096 {
			if err := w.Append(&r); err != nil {
				b.Fatal(err)
			}
		}
		raw, _ = w.Flush(raw[:0], 0)
	}
	b.ReportMetric(float64(b.N)*4096/b.Elapsed().Seconds()/1e6, "Mrows/s")
}
