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

// EntryFormat is the format of the entries that this version writes. It reads entries up to it.
const EntryFormat = 2

// Entry is a record of the catalog log. Kind and Name are there for versions that cannot read the rest.
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

// Encode returns the entry's record.
func (e *Entry) Encode() ([]byte, error) {
	e.Format = EntryFormat
	return json.Marshal(e)
}

// head is what every version can read of an entry.
type head struct {
	Format    int    `json:"format"`
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Statement string `json:"statement"`
}

// Decode reads a record. The error says why this version cannot apply it; broken then holds what could be read. A member that is not known
// makes an entry unreadable: to leave it out would apply half of a change.
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
		return fail(fmt.Errorf("the entry has format %d, and this version reads formats up to %d", h.Format, EntryFormat))
	}
	return fail(fmt.Errorf("this version does not know what the entry says: %w", known))
}

// strict reads JSON and refuses members that are not known.
func strict(b []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the object")
	}
	return nil
}

// Arg is an argument of a statement, with its Go type.
type Arg struct {
	Kind  string `json:"kind"`
	Value string `json:"value,omitempty"`
}

// ArgOf makes an Arg of a value that the planner takes; ok is false for others.
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

// Go returns the argument as the planner takes it.
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
	return nil, fmt.Errorf("this version does not know arguments of kind %q", a.Kind)
}
