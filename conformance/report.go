package conformance

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

func report(w io.Writer, s *Summary, o *Options) error {
	switch o.Report {
	case "junit":
		return junit(w, s)
	case "jsonl":
		return lines(w, s)
	}
	return text(w, s, o.Verbose)
}

// text writes a line for each failure, with the expected and the actual value below it, and the totals.
func text(w io.Writer, s *Summary, verbose bool) error {
	var b strings.Builder
	for _, r := range s.Results {
		switch p := r.Problem; {
		case r.Skipped != "":
			fmt.Fprintf(&b, "SKIP %s:%d: %s: %s\n", r.Case.File, r.Case.Line, r.Case.ID, r.Skipped)
		case p != nil:
			fmt.Fprintf(&b, "FAIL %s:%d: %s: %s\n", r.Case.File, p.place(r.Case), r.Case.ID, p.Msg)
			if p.Expected != "" {
				fmt.Fprintf(&b, "  expected %s\n", p.Expected)
			}
			if p.Got != "" {
				fmt.Fprintf(&b, "  got      %s\n", p.Got)
			}
			if verbose && p.Stack != "" {
				b.WriteString(p.Stack)
			}
		case verbose:
			fmt.Fprintf(&b, "PASS %s (%d ms)\n", r.Case.ID, r.Took.Milliseconds())
		}
	}
	fmt.Fprintln(&b, s)
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Problem) place(c *Case) int {
	if p.Line > 0 {
		return p.Line
	}
	return c.Line
}

func (p *Problem) body() string {
	s := p.Msg
	if p.Expected != "" {
		s += "\nexpected " + p.Expected
	}
	if p.Got != "" {
		s += "\ngot      " + p.Got
	}
	return s
}

// junit writes the results in JUnit's XML format.
func junit(w io.Writer, s *Summary) error {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testcase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		File    string   `xml:"file,attr"`
		Line    int      `xml:"line,attr"`
		Time    string   `xml:"time,attr"`
		Failure *failure `xml:"failure,omitempty"`
		Skipped *failure `xml:"skipped,omitempty"`
	}
	type suite struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Skipped  int        `xml:"skipped,attr"`
		Cases    []testcase `xml:"testcase"`
	}
	out := suite{Name: "streamql", Tests: len(s.Results), Failures: s.Failed, Skipped: s.Skipped}
	for _, r := range s.Results {
		class, name := "", r.Case.ID
		if i := strings.LastIndexByte(name, '/'); i >= 0 && strings.HasSuffix(name, r.Case.Name) {
			name = r.Case.Name
			class = strings.TrimSuffix(strings.TrimSuffix(r.Case.ID, name), "/")
		}
		c := testcase{Name: name, Class: class, File: r.Case.File, Line: r.Case.Line,
			Time: fmt.Sprintf("%.3f", r.Took.Seconds())}
		if p := r.Problem; p != nil {
			c.Line = p.place(r.Case)
			c.Failure = &failure{p.Msg, p.body() + "\n" + p.Stack}
		}
		if r.Skipped != "" {
			c.Skipped = &failure{Message: r.Skipped}
		}
		out.Cases = append(out.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// lines writes a JSON object per case, and one with the totals.
func lines(w io.Writer, s *Summary) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, r := range s.Results {
		line := struct {
			ID       string `json:"id"`
			File     string `json:"file"`
			Line     int    `json:"line"`
			Result   string `json:"result"`
			Message  string `json:"message,omitempty"`
			Expected string `json:"expected,omitempty"`
			Got      string `json:"got,omitempty"`
			Stack    string `json:"stack,omitempty"`
			Ms       int64  `json:"ms"`
		}{ID: r.Case.ID, File: r.Case.File, Line: r.Case.Line, Result: "passed", Message: r.Skipped,
			Ms: r.Took.Milliseconds()}
		if r.Skipped != "" {
			line.Result = "skipped"
		}
		if p := r.Problem; p != nil {
			line.Result, line.Line, line.Message, line.Expected, line.Got, line.Stack = "failed", p.place(r.Case), p.Msg,
				p.Expected, p.Got, p.Stack
		}
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	return e.Encode(map[string]int{"cases": len(s.Results), "passed": s.Passed, "failed": s.Failed, "skipped": s.Skipped})
}

// emit writes the results of each case, for another program to judge. A case that could not be run has an
// error of stage run.
func emit(w io.Writer, results []*Result) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, r := range results {
		type source struct {
			Name   string `json:"name"`
			Type   string `json:"type"`
			Schema string `json:"schema"`
		}
		line := struct {
			ID      string                `json:"id"`
			Outputs []output              `json:"outputs"`
			Rows    [][][]json.RawMessage `json:"rows"`
			Sources []source              `json:"sources"`
			Error   *failure              `json:"error"`
		}{ID: r.Case.ID, Outputs: []output{}, Rows: [][][]json.RawMessage{}, Sources: []source{}}
		if r.got == nil && r.Problem != nil {
			line.Error = &failure{Stage: "run", Message: r.Problem.Msg}
		} else if r.got != nil {
			line.Error = r.got.err
			line.Outputs = append(line.Outputs, r.got.outputs...)
			for _, rows := range r.got.rows {
				list := [][]json.RawMessage{}
				for _, each := range rows {
					list = append(list, each.text)
				}
				line.Rows = append(line.Rows, list)
			}
			for _, s := range r.got.sources {
				line.Sources = append(line.Sources, source{s.Name, s.Type, s.Schema})
			}
		}
		if r.Skipped != "" {
			continue
		}
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
