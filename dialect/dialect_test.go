package dialect

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/dialects.md")

// TestTable checks that Table has a complete row for each difference, and that each file named
// there checks the difference.
func TestTable(t *testing.T) {
	if len(Table) != int(GroupsByInput)+1 {
		t.Errorf("%d rows for %d differences", len(Table), GroupsByInput+1)
	}
	source, err := os.ReadFile("dialect.go")
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile("table.go")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, r := range Table {
		if int(r.Difference) != i || r.Name == "" || r.StreamQL == "" || r.KSQL == "" || r.Where == "" || seen[r.Name] {
			t.Errorf("row %d: %+v", i, r)
		}
		seen[r.Name] = true
		constant := word(string(table), r.Name)
		if !strings.Contains(string(source), "\t"+constant) {
			t.Errorf("row %d: %q is not a constant", i, constant)
		}
		for _, file := range strings.Split(r.Where, ", ") {
			text, err := os.ReadFile(filepath.Join("..", file))
			if err != nil || !strings.Contains(string(text), "dialect."+constant) {
				t.Errorf("%s does not check %s: %v", file, constant, err)
			}
		}
	}
}

// word returns the constant of the row with a name, as table.go spells it.
func word(table, name string) string {
	before, _, _ := strings.Cut(table, `, "`+name+`",`)
	return before[strings.LastIndexByte(before, '{')+1:]
}

func TestNamed(t *testing.T) {
	for _, name := range append(Names(), "") {
		set, ok := Named(name)
		if !ok {
			t.Errorf("%q is not a dialect", name)
		}
		for _, r := range Table {
			if set.Has(r.Difference) != (name == KSQL) {
				t.Errorf("%q, %s: %v", name, r.Name, set.Has(r.Difference))
			}
		}
	}
	if _, ok := Named("oracle"); ok {
		t.Error("oracle is a dialect")
	}
	if s := Set(0).With(UpperNames); !s.Has(UpperNames) || s.Has(HeaderBytes) {
		t.Errorf("%b", s)
	}
}

// TestPage compares docs/dialects.md with Table. go test ./dialect -update writes the page.
func TestPage(t *testing.T) {
	page := filepath.Join("..", "docs", "dialects.md")
	if *update {
		if err := os.WriteFile(page, []byte(Markdown()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || string(got) != Markdown() {
		t.Errorf("%s is not what the table prints: go test ./dialect -update writes it (%v)", page, err)
	}
}
