package exec

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/streamql/streamql/topic"
)

// letters gathers the failures of a worker's tasks. A record that cannot be decoded goes to the errors topic as it is, in the same
// transaction as everything else; failed expressions are counted and written once per code, place and commit.
type letters struct {
	w       *Worker
	pending []counted
	total   int64 // records that could not be decoded
}

type counted struct {
	Failure
	n    int64
	size int // of the record's value, if it was cut
}

const maxKinds = 100 // of failed expressions told apart within one commit

func (l *letters) fail(f Failure) {
	if l.w.env.Fail != nil {
		l.w.env.Fail(l.w.job, f)
	}
	if f.Record != nil {
		l.total++
	}
	if l.w.env.Transient || l.w.env.Errors == "" {
		return
	}
	if f.Record == nil {
		for i := range l.pending {
			p := &l.pending[i]
			if p.Record == nil && p.Code == f.Code && p.Source == f.Source && p.Err.Error() == f.Err.Error() {
				p.n++
				return
			}
		}
		if len(l.pending) >= maxKinds {
			l.pending[len(l.pending)-1].n++
			return
		}
	}
	c := counted{Failure: f, n: 1}
	c.cut()
	l.pending = append(l.pending, c)
}

// flush writes the letters into the open transaction. One that cannot be written fails the transaction: nothing bad is silent.
func (l *letters) flush() error {
	for _, c := range l.pending {
		r := c.letter(l.w.job)
		err := l.w.out.Write(topic.Partition{Topic: l.w.env.Errors}, r)
		if errors.Is(err, topic.ErrTooLarge) { // its key or its own headers are huge: what it is about stays
			r.Headers = r.Headers[len(c.headers()):]
			r.Key, r.Value = nil, r.Value[:min(len(r.Value), MaxLetter/2)]
			err = l.w.out.Write(topic.Partition{Topic: l.w.env.Errors}, r)
		}
		if err != nil {
			return fmt.Errorf("write a dead letter: %w", err)
		}
	}
	l.pending = l.pending[:0]
	return nil
}

// MaxLetter is the size over which a dead letter's value is cut; its place finds the rest.
const MaxLetter = 512 << 10

// cut keeps of a large record what its letter will hold, in bytes of its own: until the commit they would keep alive all that was fetched
// with it.
func (c *counted) cut() {
	if c.Record == nil || len(c.Record.Value) <= MaxLetter {
		return
	}
	r := *c.Record
	c.size, r.Value = len(r.Value), bytes.Clone(r.Value[:MaxLetter])
	c.Record = &r
}

func (c counted) headers() []topic.Header {
	if c.Record == nil {
		return nil
	}
	return c.Record.Headers
}

func (c counted) letter(job string) topic.Record {
	r := topic.Record{}
	if c.Record != nil {
		r = *c.Record
	}
	if r.Value == nil {
		r.Value = []byte{}
	}
	h := append([]topic.Header(nil), r.Headers...)
	add := func(key, value string) { h = append(h, topic.Header{Key: "streamql." + key, Value: []byte(value)}) }
	add("code", c.Code)
	add("message", c.Err.Error())
	add("side", c.Side)
	add("source", c.Source)
	add("topic", c.Topic)
	add("partition", strconv.Itoa(int(c.ID)))
	add("offset", strconv.FormatInt(int64(c.Offset), 10))
	add("timestamp", strconv.FormatInt(r.Time, 10))
	add("job", job)
	add("count", strconv.FormatInt(c.n, 10))
	if c.size > 0 {
		add("truncated", strconv.Itoa(c.size))
	}
	r.Headers = h
	return r
}
