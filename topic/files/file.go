package files

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/streamql/streamql/topic"
)

// file is one partition. Its readers share the positions of every few thousandth row.
type file struct {
	place  Place
	name   string // relative to the place; ".": the place itself
	path   string // for messages
	lines  bool   // every line break ends a record
	delim  byte
	header bool
	fields []string

	mu    sync.Mutex
	marks []mark // by row; every record before a mark ended with a line break
	named bool   // the header has been read, so the fields below are valid
	body  int64  // position of the first record
	width int    // number of columns in the header
	known bool   // the header was there when the source was opened
	order []int  // by declared column: its index in the file, or -1; nil: records are not reordered
}

type mark struct {
	row topic.Offset
	at  int64
}

// check opens the file once, so that an unreadable file is reported before anything runs.
func (f *file) check() error {
	h, err := f.open()
	if err != nil {
		return err
	}
	defer h.Close()
	if !f.header {
		return nil
	}
	names, _, err := f.readHeader(h)
	if err == nil && names != nil && f.fields != nil {
		err = f.match(names)
		f.known = true
	}
	return err
}

// lacks reports whether the file has a header without a declared column.
func (f *file) lacks(field int) bool { return f.known && f.order != nil && f.order[field] < 0 }

func (f *file) open() (*os.File, error) { return f.place.open(f.name, false) }

// start finds the position of the first record; false: the header has not been written yet.
func (f *file) start(h *os.File) (bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.named {
		return true, nil
	}
	var bom [3]byte
	if n, err := h.ReadAt(bom[:], 0); err != nil && err != io.EOF {
		return false, unreadable(f.path, err)
	} else if n == 3 && string(bom[:]) == "\xEF\xBB\xBF" {
		f.body = 3
	}
	if f.header {
		names, at, err := f.readHeader(h)
		if err != nil || names == nil {
			return false, err
		}
		if f.body, f.width = at, len(names); f.fields != nil {
			if err := f.match(names); err != nil {
				return false, err
			}
		}
	}
	f.marks = append(f.marks, mark{0, f.body})
	f.named = true
	return true, nil
}

// readHeader returns the names in the first record and the position of the second; nil for an
// empty file.
func (f *file) readHeader(h *os.File) ([]string, int64, error) {
	b, err := io.ReadAll(io.NewSectionReader(h, 0, 1<<20))
	if err != nil {
		return nil, 0, unreadable(f.path, err)
	}
	skip := 0
	if bytes.HasPrefix(b, []byte("\xEF\xBB\xBF")) {
		skip = 3
	}
	for skip < len(b) && (b[skip] == '\n' || b[skip] == '\r') {
		skip++
	}
	b = b[skip:]
	if len(b) == 0 {
		return nil, 0, nil
	}
	body, whole, ok := f.record(b)
	if !ok && len(b)+skip >= 1<<20 {
		return nil, 0, fmt.Errorf("%s: the header is longer than 1 MiB", f.path)
	}
	var names []string
	for spans := f.fieldsOf(nil, b[:body]); len(spans) > 0; spans = spans[2:] {
		names = append(names, unquoted(strings.TrimSpace(string(b[spans[0]:spans[1]]))))
	}
	return names, int64(skip + whole), nil
}

// match finds the declared columns in the header: by exact name, else ignoring case. Its errors
// do not quote the header: it may be an arbitrary line of a file, and the error may be sent to
// another machine.
func (f *file) match(names []string) error {
	order, found := make([]int, len(f.fields)), 0
	for i, field := range f.fields {
		at := slices.Index(names, field)
		if at < 0 {
			at = slices.IndexFunc(names, func(n string) bool { return strings.EqualFold(n, field) })
		}
		if at >= 0 {
			found++
			name := names[at]
			if slices.Contains(names[at+1:], name) {
				return fmt.Errorf("%s: column %s appears in the header twice", f.path, field)
			}
		}
		order[i] = at
	}
	if found == 0 && len(f.fields) > 0 {
		return fmt.Errorf(
			"%s: its first record contains none of the declared columns (%s); if the file has no header, set header=false",
			f.path,
			shorten(f.fields),
		)
	}
	same := len(order) == len(names)
	for i, at := range order {
		same = same && at == i
	}
	if !same {
		f.order = order
	}
	return nil
}

func shorten(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:5], ", ") + ", .."
	}
	return strings.Join(names, ", ")
}

// near returns the last known position at or before a row.
func (f *file) near(row topic.Offset) mark {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, found := slices.BinarySearchFunc(
		f.marks,
		row,
		func(m mark, row topic.Offset) int { return cmp.Compare(m.row, row) },
	)
	if !found {
		i--
	}
	return f.marks[i]
}

// remember stores a position if it is at least some thousand rows after the previous one.
func (f *file) remember(m mark) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if last := f.marks[len(f.marks)-1]; m.row >= last.row+maxRows {
		f.marks = append(f.marks, m)
	}
}

// count returns the present number of rows.
func (f *file) count(ctx context.Context) (topic.Offset, error) {
	c := cursor{file: f, row: topic.End, to: topic.End, counting: true}
	defer c.close()
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		more, err := c.next(nil)
		if err == nil && more {
			continue
		}
		if !c.started { // an empty file
			return 0, err
		}
		return c.row, err
	}
}
