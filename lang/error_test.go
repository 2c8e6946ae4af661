package lang

import (
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestErrorForms(t *testing.T) {
	e := &Error{Code: "SQ2003", Stage: StagePlan, Stmt: 2, Pos: Pos{"q.sql", 2, 8, 17}, Len: 12,
		Msg:   `column "cooland_temp" does not exist`,
		Label: `did you mean "coolant_temp" (DOUBLE)?`, Hint: `cars has 20 columns: \d cars`, Notes: []string{"n"},
		Err: io.EOF}
	src := "SELECT a\n       cooland_temp / 100\n"
	e.Pos.Offset = strings.Index(src, "cool")
	want := `error[SQ2003]: column "cooland_temp" does not exist
  --> q.sql:2:8
  2 |        cooland_temp / 100
    |        ^^^^^^^^^^^^ did you mean "coolant_temp" (DOUBLE)?
  note: n
  help: cars has 20 columns: \d cars
`
	if got := e.Show(src, false); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := e.Show(src, true); !strings.Contains(got, "\x1b[") || !strings.HasSuffix(got, "\n") {
		t.Errorf("no colours in %q", got)
	}
	if got := e.Show("", false); strings.Contains(got, "^") || !strings.Contains(got, "did you mean") {
		t.Errorf("without source: %s", got)
	}
	if !errors.Is(e, io.EOF) || !errors.Is(Errors{e}, io.EOF) || len(AsErrors(Errors{e, e})) != 2 ||
		len(AsErrors(io.EOF)) != 0 {
		t.Error("the cause is lost")
	}
	body, err := json.Marshal(e)
	wantJSON := `{"code":"SQ2003","level":"error","stage":"plan","statement":2,` +
		`"message":"column \"cooland_temp\" does not exist",` +
		`"label":"did you mean \"coolant_temp\" (DOUBLE)?","file":"q.sql","line":2,"column":8,"length":12,` +
		`"hint":"cars has 20 columns: \\d cars","notes":["n"]}`
	if err != nil || string(body) != wantJSON {
		t.Errorf("%s %v", body, err)
	}
	e = &Error{Code: "SQ5102", Level: LevelWarning, Msg: "records are skipped",
		Where: Where{Topic: "t", Partition: 3, Offset: 7}}
	if got := e.Show("SELECT", false); got != "warning[SQ5102]: records are skipped\n" {
		t.Error(got)
	}
	if body, _ := json.Marshal(e); !strings.Contains(string(body), `"where":{"topic":"t","partition":3,"offset":7}`) {
		t.Errorf("%s", body)
	}
}

// TestExcerpt checks that a shown line is cut around the position, and that tabs keep the caret in its column.
func TestExcerpt(t *testing.T) {
	src := strings.Repeat("é", 500) + "X" + strings.Repeat("y", 500)
	e := &Error{Code: "SQ1001", Msg: "m", Pos: Pos{"", 1, 501, 1000}, Len: 1}
	lines := strings.Split(e.Show(src, false), "\n")
	caret := []rune(lines[3])
	if under := []rune(lines[2])[len(caret)-1]; under != 'X' || len([]rune(lines[2])) > 140 {
		t.Errorf("the caret is under %c in %s", under, lines[2])
	}
}

func TestSuggest(t *testing.T) {
	legal := []string{"coolant_temp", "speed", "SELECT", "a", "id"}
	for word, want := range map[string]string{"cooland_temp": "coolant_temp", "coolnt_tmp": "coolant_temp",
		"sped": "speed", "SELCET": "SELECT", "b": "", "xyz": "", "": "", "speedometer": "", "ib": "id"} {
		if got := Suggest(word, legal); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestFold(t *testing.T) {
	if (Name{Text: "aB"}).Fold(true) != "AB" || (Name{Text: "aB"}).Fold(false) != "aB" ||
		(Name{Text: "aB", Quoted: true}).Fold(true) != "aB" {
		t.Error("fold")
	}
}
