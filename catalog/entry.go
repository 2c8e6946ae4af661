package catalog

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// EntryFormat is the format of the entries that this version writes. It reads this and all
// earlier formats.
const EntryFormat = 2

// Entry is a record of the catalog log. Kind and Name are readable by versions that cannot read
// the rest.
type Entry struct {
	Format    int    `json:"format"`
	ID        string `json:"id"`
	At        int64  `json:"at"` // ms
	By        string `json:"by,omitempty"`
	Kind      string `json:"kind"` // STREAM, TABLE, MODEL, TYPE, JOB, DROP, STATE, TOPICS or REPAIR
	Name      string `json:"name,omitempty"`
	Statement string `json:"statement,omitempty"`
	Change    Change `json:"change"`
}

// Encode returns the entry as a record value.
func (e *Entry) Encode() ([]byte, error) {
	e.Format = EntryFormat
	return json.Marshal(e)
}

// head is the part of an entry that every version can read.
type head struct {
	Format    int    `json:"format"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Statement string `json:"statement"`
}

// Decode reads a record value. The error is the reason for which this version cannot apply the
// entry; broken then contains the readable part. An unknown member makes the whole entry
// unreadable, because ignoring it would apply half of a change.
func Decode(value []byte, offset int64) (e *Entry, broken Broken, err error) {
	e = &Entry{}
	known := strict(value, e)
	if known == nil && e.Format > 0 && e.Format <= EntryFormat {
		return e, broken, nil
	}
	broken = Broken{Offset: offset}
	fail := func(err error) (*Entry, Broken, error) {
		broken.Reason = err.Error()
		return nil, broken, err
	}
	var h head
	if err := json.Unmarshal(value, &h); err != nil {
		return fail(fmt.Errorf("the entry is not a JSON object: %w", err))
	}
	broken.Kind, broken.Name, broken.Statement = h.Kind, h.Name, h.Statement
	switch {
	case h.Format == 0:
		return fail(errors.New("the entry has no format"))
	case h.Format > EntryFormat:
		return fail(
			fmt.Errorf("the entry has format %d, but this version reads formats up to %d", h.Format, EntryFormat),
		)
	}
	return fail(fmt.Errorf("this version cannot read the entry: %w", known))
}

// strict decodes JSON and rejects unknown members.
func strict(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is text after the object")
	}
	return nil
}

// Arg is an argument of a statement, with its Go type.
type Arg struct {
	Kind  string `json:"kind"`
	Value string `json:"value,omitempty"`
}

// ArgOf returns the Arg of a value that the planner accepts; ok is false for other values.
func ArgOf(v any) (a Arg, ok bool) {
	switch v := v.(type) {
	case nil:
		return Arg{Kind: "null"}, true
	case bool:
		return Arg{"bool", strconv.FormatBool(v)}, true
	case int:
		return Arg{"int64", strconv.Itoa(v)}, true
	case int32:
		return Arg{"int32", strconv.Itoa(int(v))}, true
	case int64:
		return Arg{"int64", strconv.FormatInt(v, 10)}, true
	case float32:
		return Arg{"float32", strconv.FormatFloat(float64(v), 'g', -1, 32)}, true
	case float64:
		return Arg{"float64", strconv.FormatFloat(v, 'g', -1, 64)}, true
	case string:
		return Arg{"string", v}, true
	case []byte:
		return Arg{"bytes", base64.StdEncoding.EncodeToString(v)}, true
	}
	return Arg{}, false
}

// Go returns the argument as the planner accepts it.
func (a Arg) Go() (any, error) {
	switch a.Kind {
	case "null":
		return nil, nil
	case "bool":
		return strconv.ParseBool(a.Value)
	case "int32":
		n, err := strconv.ParseInt(a.Value, 10, 32)
		return int32(n), err
	case "int64":
		return strconv.ParseInt(a.Value, 10, 64)
	case "float32":
		f, err := strconv.ParseFloat(a.Value, 32)
		return float32(f), err
	case "float64":
		return strconv.ParseFloat(a.Value, 64)
	case "string":
		return a.Value, nil
	case "bytes":
		return base64.StdEncoding.DecodeString(a.Value)
	}
	return nil, fmt.Errorf("this version does not support arguments of kind %q", a.Kind)
}
