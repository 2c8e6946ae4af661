package files

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/format"
	"github.com/streamql/streamql/topic"
)

func TestTabsThroughTheirCodec(t *testing.T) {
	s := open(
		t,
		Config{
			Path:   filepath.Join(write(t, "a.tsv", "b\ta\n1\t\"x\ty\"\n"), "a.tsv"),
			Header: true,
			Fields: []string{"a", "b"},
		},
	)
	codec, err := format.New(
		format.Spec{Name: s.Format(), Fields: []arrow.Field{flow.Field("a", flow.String), flow.Field("b", flow.Int)},
			Options: map[string]string{"delimiter": s.Delimiter()}},
	)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(context.Background(), []topic.Span{{To: 1}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Poll(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	cols, bad, err := codec.Decode(&f[0].Value, []int{0, 1})
	if err != nil || bad != nil || flow.Value(cols[0], 0) != "x\ty" || flow.Value(cols[1], 0) != int32(1) {
		t.Error(cols, bad, err)
	}
}

// TestFilesThroughTheirCodec: files of different layouts are read into the same columns; a row
// that does not fit is bad and does not shift others.
func TestFilesThroughTheirCodec(t *testing.T) {
	dir := write(
		t,
		"1.csv",
		"name,id,more\n\"a,\n\"\"b\"\"\",1,x\n,2,x\nshort\nc,x,y\n\"\",5,z\n",
		"2.csv",
		"ID\n7\n",
	)
	list := []arrow.Field{flow.Field("id", flow.Int), flow.Field("NAME", flow.String)}
	s := open(t, Config{Path: dir, Header: true, Fields: []string{"id", "NAME"}})
	codec, err := format.New(
		format.Spec{Name: s.Format(), Fields: list, Options: map[string]string{"delimiter": s.Delimiter()}},
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		`1 "a,\n\"b\"" / 2 null / bad: the record has 1 fields, 2 are declared / bad: column id is INTEGER: "x" is not a number / 5 ""`,
		`7 null`,
	}
	for part, n := range rows(t, s) {
		r, err := s.Open(context.Background(), []topic.Span{{Partition: topic.Partition{ID: int32(part)}, To: n}})
		if err != nil {
			t.Fatal(err)
		}
		f, err := r.Poll(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		cols, bad, err := codec.Decode(&f[0].Value, []int{0, 1})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range f[0].Rows() {
			if len(bad) > 0 && bad[0].Row == i {
				got = append(got, fmt.Sprint("bad: ", bad[0].Reason))
				bad = bad[1:]
				continue
			}
			got = append(
				got,
				string(format.AppendJSON(append(format.AppendJSON(nil, cols[0], i, 0), ' '), cols[1], i, 0)),
			)
		}
		if text := strings.Join(got, " / "); text != want[part] {
			t.Errorf("%s: %s\nwant %s", filepath.Base(s.files[part].path), text, want[part])
		}
		r.Close()
	}
}
