package exec

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/streamql/streamql/topic"
)

// deadLetters collects the failures of a worker's tasks until the next commit. An undecodable
// record is copied to the errors topic unchanged, in the transaction of the outputs. Failed
// expressions are counted and written once per code, source, message and commit. The worker's
// goroutine owns it.
type deadLetters struct {
	w       *Worker
	pending []counted
	total   int64 // records that could not be decoded
}

// counted is a failure and how often it occurred since the last commit.
type counted struct {
	Failure
	n    int64
	size int // original size of a truncated value; 0: not truncated
}

const maxKinds = 100 // limit of distinct failed expressions per commit

// fail adds a failure to the next commit's dead letters and reports it to Env.Fail.
func (l *deadLetters) fail(f Failure) {
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

// flush writes the dead letters into the open transaction. If one cannot be written, the
// transaction fails, so that no failure is lost silently.
func (l *deadLetters) flush() error {
	for _, c := range l.pending {
		r := c.record(l.w.job)
		err := l.w.out.Write(topic.Partition{Topic: l.w.env.Errors}, r)
		if errors.Is(err, topic.ErrTooLarge) {
			// its key or its own headers are too large: the streamql headers are kept
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

// MaxLetter is the size at which the value of a dead letter is truncated, in bytes. Its headers
// name the offset at which the whole record can be read.
const MaxLetter = 512 << 10

// cut truncates a large record to the size of its dead letter and copies it. Without the copy,
// the record would keep its whole fetch in memory until the commit.
func (c *counted) cut() {
	if c.Record == nil || len(c.Record.Value) <= MaxLetter {
		return
	}
	r := *c.Record
	c.size, r.Value = len(r.Value), bytes.Clone(r.Value[:MaxLetter])
	c.Record = &r
}

// headers returns the headers that the failed record had.
func (c counted) headers() []topic.Header {
	if c.Record == nil {
		return nil
	}
	return c.Record.Headers
}

// record builds the dead letter: the record itself, with headers that describe the failure.
func (c counted) record(job string) topic.Record {
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
