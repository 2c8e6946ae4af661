package streamql_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// proseLimit is the number of listed constructions per 1,000 lines of prose that a package may have.
// Code bases that are known for their comments have fewer than 2.
const proseLimit = 3

// notHeld names the packages and documents that TestProse measures but does not hold to proseLimit
// yet. An entry that meets the limit fails the test, so the list only shrinks.
var notHeld = map[string]bool{
	"connect": true,
	"format":  true,
}

// A construction is a turn of phrase that STYLE.md replaces. Match finds it in the text of one
// comment, message or paragraph, whose line breaks are spaces. A match is not counted if Unless
// matches the text around it, which starts up to 24 bytes before the match and ends up to 24 bytes
// after it.
type construction struct {
	name   string
	match  *regexp.Regexp
	unless *regexp.Regexp // nil: every match counts
	why    string         // the legitimate uses that unless names
}

func listed(name, match, unless, why string) construction {
	c := construction{name: name, match: regexp.MustCompile(`(?i)` + match), why: why}
	if unless != "" {
		c.unless = regexp.MustCompile(`(?i)` + unless)
	}
	return c
}

var constructions = []construction{
	listed("behind", `\bbehind\b`,
		`\b(falls?|fell|fallen|far|lags?|lagging|records|offsets|ms) behind\b|behind an? (flag|proxy|load balancer)`,
		"lag has no other verb; deployments have proxies"),
	listed("who", `\b(whoever|whose?|whom)\b`,
		`\b(users?|people|persons?|readers?|operators?|administrators?|authors?|clients?|callers?|owners?|engineers?) (who|whom)\b|`+
			`\b[a-z]+s?,? whose\b|\bwho is who\b|\bSHOW\b`,
		"persons are who; whose is the possessive of things, too"),
	listed("somebody", `\b(some|no|any|every)body\b|\bno one else\b`, ``, ""),
	listed("stand", `\b(stands?|standing|stood)\b`, `\bstands? for\b|\bstand-in\b|\blong-standing\b`,
		"an abbreviation stands for a word"),
	listed("tell", `\b(tells?|telling|told)\b`, ``, ""),
	listed("beside", `\bbeside\b`, ``, ""),
	listed("go on", `\b(go|goes|going|gone|went) on\b`, ``, ""),
	listed("headless what",
		`\bwhat (is|are|was|were|be|has|have|had|it|they|he|she|its|their|this|that|those|these|a|an|the|each|`+
			`all|any|no|one|some|others?|comes?|came|follows?|remains|needs?|lies|must|may|can|cannot|could|should|would|`+
			`will|does|did|do|makes?|made|takes?|took|waits?|holds?|held|runs?|stays?|belongs|counts|costs?|went|goes|lay)\b`,
		`\?`, "a question"),
	listed("give", `\b(gives?|gave)\b|\b(giving|given) (up|back|away|out)\b`, ``, ""),
	listed("let go", `\b(let|lets|letting) (it |them )?go\b`, ``, ""),
	listed("come with", `\b(come|comes|came) (with|of)\b`, ``, ""),
	listed("good-bye", `\bgood-?byes?\b`, ``, ""),
	listed("take back", `\b(take|takes|took|taken|taking) (it |them )?back\b`, ``, ""),
	listed("ask", `\b(ask|asks|asked|asking)\b`, `\bask(s|ed|ing)? (the|a) user\b`, "a shell asks its user"),
	listed("wish", `\b(wish|wishes|wished|wanted)\b`, ``, ""),
	listed("on the way", `\bon (the|its|their) way\b`, ``, ""),
	listed("is no", `\b(is|are|was|were) no\b`,
		`\b(there|which|if there) (is|are|was|were) no\b|\b(is|are|was|were) no (longer|more|less|fewer|larger|such)\b`,
		"there is no topic; no longer, no more than"),
	listed("letter", `\bletters?\b`,
		`dead[- ]letter|(capital|lower|upper|case|first|ASCII) letters?|letters? (and|or|,)|[0-9] letters|\b(a|the|one|of) letter\b|small letters?|letters of Java`,
		"characters are letters"),
	listed("work off", `\b(work|works|worked|working) (it |them )?off\b`, ``, ""),
	listed("break off", `\b(break|breaks|broke|broken|breaking) off\b`, ``, ""),
	listed("is there", `\b(is|are|was|were) (not |still |already |no longer )?there\b[.,;:)]`, ``, ""),
}

// prose is the text of one place: a comment, a message, or a paragraph of a document.
type prose struct {
	where string // file:line
	text  string
	lines int
}

// TestProse counts the constructions of STYLE.md's list in comments, messages and documents, and
// fails where a package has more of them than proseLimit. With -v it prints the rate of each
// package and the places with the most matches.
func TestProse(t *testing.T) {
	all := map[string][]prose{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir():
			if strings.HasPrefix(d.Name(), ".") && path != "." {
				return filepath.SkipDir
			}
			return nil
		}
		bucket, found, err := proseOf(filepath.ToSlash(path))
		if len(found) > 0 {
			all[bucket] = append(all[bucket], found...)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 40 {
		t.Fatalf("only %d packages and documents were found", len(all))
	}
	for name := range notHeld {
		if all[name] == nil {
			t.Errorf("notHeld names %q, which has no prose", name)
		}
	}
	hits, lines := 0, 0
	kinds := map[string]int{}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		h, l := judge(t, name, all[name], kinds)
		hits, lines = hits+h, lines+l
	}
	t.Logf("all: %d of %d lines, %.1f per 1,000: %v", hits, lines, rate(hits, lines), kinds)
}

func rate(hits, lines int) float64 { return 1000 * float64(hits) / float64(max(lines, 1)) }

// judge counts one package's constructions and holds it to the limit. A package with fewer than
// 1,000/proseLimit lines may have one.
func judge(t *testing.T, name string, all []prose, kinds map[string]int) (hits, lines int) {
	var worst []string
	for _, p := range all {
		lines += p.lines
		found := matches(p.text)
		for _, f := range found {
			kinds[f]++
		}
		if hits += len(found); len(found) > 0 {
			worst = append(worst, fmt.Sprintf("%s: %s: %s", p.where, strings.Join(found, ", "), short(p.text)))
		}
	}
	over := hits > max(1, proseLimit*lines/1000)
	t.Logf("%-22s %4d of %5d lines, %5.1f per 1,000", name, hits, lines, rate(hits, lines))
	for i := 0; i < len(worst) && (over && !notHeld[name] || i < 5); i++ {
		t.Logf("    %s", worst[i])
	}
	switch {
	case over && !notHeld[name]:
		t.Errorf("%s has %d constructions in %d lines that STYLE.md lists, more than %d per 1,000", name, hits, lines, proseLimit)
	case !over && notHeld[name]:
		t.Errorf("%s meets the limit: remove it from notHeld", name)
	}
	return hits, lines
}

func short(text string) string {
	if len(text) > 160 {
		return text[:160] + " .."
	}
	return text
}

// matches names the constructions in a text, one name per match.
func matches(text string) []string {
	var out []string
	for _, c := range constructions {
		for _, at := range c.match.FindAllStringIndex(text, -1) {
			around := text[max(0, at[0]-24):min(len(text), at[1]+24)]
			if c.unless == nil || !c.unless.MatchString(around) {
				out = append(out, c.name)
			}
		}
	}
	return out
}

// proseOf returns the prose of a file and the package or document that it counts for.
func proseOf(path string) (string, []prose, error) {
	dir := filepath.ToSlash(filepath.Dir(path))
	switch filepath.Ext(path) {
	case ".go":
		found, err := goProse(path)
		return dir, found, err
	case ".md":
		if dir == "." {
			dir = path
		}
		found, err := markdownProse(path)
		return dir, found, err
	case ".sql", ".sqltest":
		if strings.HasPrefix(path, "conformance/") {
			dir = "conformance/cases"
		}
		found, err := scriptProse(path)
		return dir, found, err
	}
	return dir, nil, nil
}

// goProse returns a file's comments and, of files that are not tests, its messages.
func goProse(path string) ([]prose, error) {
	if path == "prose_test.go" { // it quotes the list
		return nil, nil
	}
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, nil, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	at := func(p token.Pos) string { return fmt.Sprintf("%s:%d", path, set.Position(p).Line) }
	var out []prose
	for _, g := range f.Comments {
		lines := set.Position(g.End()).Line - set.Position(g.Pos()).Line + 1
		out = append(out, prose{at(g.Pos()), strings.Join(strings.Fields(g.Text()), " "), lines})
	}
	if strings.HasSuffix(path, "_test.go") {
		return out, nil
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.Field:
			if n.Tag != nil {
				tag, _ := strconv.Unquote(n.Tag.Value)
				if help := reflect.StructTag(tag).Get("help"); help != "" {
					out = append(out, prose{at(n.Tag.Pos()), help, 1})
				}
			}
		case *ast.BasicLit:
			if text, ok := message(n); ok {
				out = append(out, prose{at(n.Pos()), text, 1 + strings.Count(n.Value, "\n")})
			}
		}
		return true
	})
	return out, nil
}

var (
	plainWords = regexp.MustCompile(`[a-z]{2,}[,:;]? [a-z(%]`)
	codeWords  = regexp.MustCompile(`\b(SELECT|CREATE|INSERT|DROP|PRINT|SHOW|help:)\b|[{}]`)
)

// message returns the text of a literal if it is a message, a help text or documentation: several
// words, and not SQL, JSON or a struct tag.
func message(lit *ast.BasicLit) (string, bool) {
	if lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	if err != nil || len(plainWords.FindAllString(text, 2)) < 2 || codeWords.MatchString(text) {
		return "", false
	}
	return strings.Join(strings.Fields(text), " "), true
}

// markdownProse returns the paragraphs of a document without its code blocks. The
// sections of STYLE.md that quote the list are left out.
func markdownProse(path string) ([]prose, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []prose
	code, listed, first := false, false, 0
	var lines []string
	flush := func() {
		if len(lines) > 0 {
			out = append(out, prose{fmt.Sprintf("%s:%d", path, first), inlineCode.ReplaceAllString(strings.Join(lines, " "), "``"), len(lines)})
		}
		lines = nil
	}
	for i, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			flush()
			code = !code
		case code:
		case strings.HasPrefix(line, "## "):
			flush()
			listed = path == "STYLE.md" && (line == "## Glossary" || line == "## Prose")
		case listed || strings.TrimSpace(line) == "":
			flush()
		default:
			if len(lines) == 0 {
				first = i + 1
			}
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	flush()
	return out, nil
}

var inlineCode = regexp.MustCompile("`[^`]*`")

// scriptProse returns the comments of an SQL file and the titles and comments of a case file.
func scriptProse(path string) ([]prose, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []prose
	for i, line := range strings.Split(string(text), "\n") {
		for _, mark := range []string{"# ", "-- ", "=== "} {
			if rest, ok := strings.CutPrefix(line, mark); ok {
				out = append(out, prose{fmt.Sprintf("%s:%d", path, i+1), rest, 1})
			}
		}
	}
	return out, nil
}
