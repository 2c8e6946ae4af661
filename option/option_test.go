package option

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

var declared = []Option{
	{Name: "text", Also: "words"},
	{Name: "word", Type: Word, Words: []string{"one", "two"}, Default: "one"},
	{Name: "int", Type: Int, Min: -3, Max: 3, Default: "2"},
	{Name: "count", Type: Int, Max: math.Inf(1)},
	{Name: "uint", Type: Uint},
	{Name: "float", Type: Float, Max: 1},
	{Name: "bool", Type: Bool, Default: "true"},
	{Name: "length", Type: Duration, Min: 1},
	{Name: "kept", Type: Duration, Min: -1},
	{Name: "time", Type: Time},
	{Name: "char", Type: Char, Default: ","},
	{Name: "even", Type: Int, Check: func(v any) error {
		if v.(int64)%2 != 0 {
			return errors.New("is an even number")
		}
		return nil
	}},
}

// TestRead reads values and defaults.
func TestRead(t *testing.T) {
	v, err := Read(declared, map[string]string{"words": " a ", "word": " TWO ", "uint": "18446744073709551615", "float": "0.5", "length": "2 minutes",
		"kept": "-1", "time": "2026-01-31 12:00", "char": "tab", "other": "nobody reads it"})
	if err != nil {
		t.Fatal(err)
	}
	if v.Text("text") != " a " || v.Text("word") != "two" || v.Int("int") != 2 || v.Uint("uint") != math.MaxUint64 || v.Float("float") != 0.5 ||
		!v.Bool("bool") || v.Duration("length") != 2*time.Minute || v.Duration("kept") != -time.Millisecond || v.Char("char") != '\t' ||
		!v.Time("time").Equal(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)) || v.Int("even") != 0 || v.Given("even") || !v.Given("char") {
		t.Errorf("%+v", v)
	}
	if text, given := v.Written("word"); text != " TWO " || !given {
		t.Errorf("%q, %v", text, given)
	}
}

// TestWrong: the error of a wrong value lists the legal ones.
func TestWrong(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"word", "tow", `option word is 'one' or 'two', not "tow"`},
		{"int", "4", "option int is a whole number from -3 to 3, not \"4\""},
		{"int", "-4", "from -3"},
		{"count", "-1", "option count is a whole number from 0, not \"-1\""},
		{"uint", "-1", "a whole number"},
		{"float", "1.5", "option float is a number from 0 to 1"},
		{"float", "NaN", "a number"},
		{"bool", "yes", "true or false"},
		{"length", "0", "from 1ms"},
		{"length", "9223372036854775807", "a length of time"},
		{"length", "9223372036854775 DAYS", "a length of time"},
		{"kept", "-2", "or -1 for ever"},
		{"time", "noon", "a time such as"},
		{"char", "", "one ASCII character"},
		{"char", "é", "one ASCII character"},
		{"char", `"`, "other than the quote"},
		{"even", "3", "option even is an even number"},
	} {
		_, err := Read(declared, map[string]string{c.name: c.text})
		var wrong *Error
		if !errors.As(err, &wrong) || !wrong.Value || wrong.Option != c.name || wrong.Wrong() != c.text || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s=%q: %v does not say %q", c.name, c.text, err, c.want)
		}
	}
	for text, given := range map[string]map[string]string{
		"options text and words are the same": {"text": "a", "words": "b"},
		"there is no option nowhere":          {"nowhere": "1"},
	} {
		if _, err := Strict(declared, given); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v: %v", given, err)
		}
	}
	needed := []Option{{Name: "path", Needed: true, Doc: "the file"}}
	if _, err := Read(needed, nil); err == nil || err.Error() != "option path is needed: the file" {
		t.Error(err)
	}
}

// TestDefaults reads every default that is declared.
func TestDefaults(t *testing.T) {
	if _, err := Read(declared, nil); err != nil {
		t.Error(err)
	}
	if got := strings.Join(Names(declared), " "); !strings.HasPrefix(got, "bool char count even") || !strings.HasSuffix(got, "word words") {
		t.Error(got)
	}
}
