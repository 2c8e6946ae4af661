package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// output compares the topics that a section names.
func (c comparer) output(o *Output, got *actual) *Problem {
	var topics []string
	want, have := map[string][]Record{}, map[string][]output{}
	for _, r := range o.Records {
		if want[r.Topic] == nil {
			topics = append(topics, r.Topic)
		}
		want[r.Topic] = append(want[r.Topic], r)
	}
	for _, r := range got.outputs {
		have[r.Topic] = append(have[r.Topic], r)
	}
	for _, t := range topics {
		if _, ok := got.topics[t]; !ok {
			return &Problem{Line: want[t][0].Line, Msg: fmt.Sprintf("topic %q does not exist", t)}
		}
		w, h := want[t], have[t]
		if o.Mode == Final {
			h = lastOfKeys(h)
		}
		var p *Problem
		if o.Mode == Ordered {
			p = c.inOrder(t, w, h)
		} else {
			p = c.anyOrder(t, w, h)
		}
		if p != nil {
			return p
		}
	}
	return nil
}

func lastOfKeys(list []output) []output {
	var out []output
	place := map[string]int{}
	for _, r := range list {
		key := marshal([]any{r.Key, r.Window})
		if i, ok := place[key]; ok {
			out[i] = r
			continue
		}
		place[key] = len(out)
		out = append(out, r)
	}
	return out
}

func (c comparer) inOrder(topic string, want []Record, have []output) *Problem {
	for i, w := range want {
		if i == len(have) {
			return &Problem{Line: w.Line, Msg: fmt.Sprintf("topic %s has %d records, not %d; the first missing record is",
				topic, len(have), len(want)), Expected: showWant(w)}
		}
		if d := c.differs(w, have[i]); d != "" {
			return &Problem{Line: w.Line, Msg: fmt.Sprintf("record %d of topic %s: %s differs%s", i+1, topic, d,
				counts(len(have), len(want))), Expected: showWant(w), Got: showGot(w, have[i])}
		}
	}
	return c.tooMany(topic, want, have)
}

func counts(have, want int) string {
	if have == want {
		return ""
	}
	return fmt.Sprintf(" (it has %d records, not %d)", have, want)
}

func (c comparer) tooMany(topic string, want []Record, have []output) *Problem {
	if len(have) <= len(want) {
		return nil
	}
	return &Problem{Line: want[len(want)-1].Line,
		Msg: fmt.Sprintf("topic %s has %d records, not %d; the first additional record is", topic, len(have), len(want)),
		Got: showGot(Record{}, have[len(want)])}
}

func (c comparer) anyOrder(topic string, want []Record, have []output) *Problem {
	have = append([]output(nil), have...)
	for _, w := range want {
		found := false
		for i, h := range have {
			if c.differs(w, h) == "" {
				have, found = append(have[:i:i], have[i+1:]...), true
				break
			}
		}
		if !found {
			p := &Problem{Line: w.Line, Msg: fmt.Sprintf("topic %s lacks a record", topic), Expected: showWant(w)}
			if len(have) > 0 {
				p.Got = showGot(w, have[0])
			}
			return p
		}
	}
	if len(have) > 0 {
		return &Problem{Line: want[len(want)-1].Line, Msg: fmt.Sprintf("topic %s has %d records too many", topic,
			len(have)), Got: showGot(Record{}, have[0])}
	}
	return nil
}

// differs returns the part of a record that differs from the expected one; empty if none does.
func (c comparer) differs(want Record, got output) string {
	key, _ := value(want.Key)
	if want.KeyBytes != nil {
		key = string(want.KeyBytes)
	}
	v, _ := value(want.Value)
	if want.ValueBytes != nil {
		v = string(want.ValueBytes)
	}
	switch {
	case !c.same(got.Key, key, got.keyType):
		return "the key"
	case !c.same(got.Value, v, got.valueType):
		return "the value"
	case want.Timestamp != nil && *want.Timestamp != got.Timestamp:
		return "the timestamp"
	case (want.Window == nil) != (got.Window == nil) || want.Window != nil && *want.Window != *got.Window:
		return "the window"
	case len(want.Headers) != len(got.Headers):
		return "the number of headers"
	}
	for i, h := range want.Headers {
		if h.Key != got.Headers[i].Key || !bytes.Equal(h.Value, got.Headers[i].Value) ||
			(h.Value == nil) != (got.Headers[i].Value == nil) {
			return "a header"
		}
	}
	return ""
}

func showWant(r Record) string { return marshal(r) }

// showGot returns a record as an output line of a test file. It has the timestamp only if want has one.
func showGot(want Record, r output) string { return marshal(r.record(want.Timestamp != nil)) }

// marshal returns JSON without HTML escapes.
func marshal(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("%v (%v)", v, err)
	}
	return strings.TrimSpace(b.String())
}
