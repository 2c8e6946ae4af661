package connect

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/topic/files"
)

var _ = builtin(Connector{
	Name: "files",
	Doc: "A file or all files of a directory. Each file is a partition. Lines that are appended later are read, too. " +
		"Without declared columns, their types are those of the first 20,000 records.",
	Options: []option.Option{
		{Name: "path", Type: option.Text, Needed: true,
			Doc: "the file or directory, relative to the working directory or to a directory that sessions may read"},
		{Name: "header", Type: option.Bool, Default: "true",
			Doc: "whether the first record of each file has the column names; only for formats with delimited fields"},
	},
	Shape: PlainRecords, Replays: true, Infers: true, Formats: true,
	Admit: admitFiles,
	Open:  openFiles,
	Examples: []Example{{
		Files: map[string]string{"trips.csv": "km,car\n1.5,a\n2,b\n"},
		SQL: `CREATE STREAM trips (car STRING, km DOUBLE) WITH (connector='files', path='trips.csv');
SELECT car, km FROM trips;`,
		Want: "a,1.5\nb,2.0",
	}, {
		Files: map[string]string{"trips.csv": "km;car\n1,5;a\n"},
		SQL: `CREATE STREAM trips WITH (connector='files', path='trips.csv', delimiter=';');
SELECT car, km FROM trips;`,
		Want: `a,"1,5"`,
	}},
})

// admitFiles resolves the path option against the roots that the session may read.
func admitFiles(o option.Values, roots []string) (root, path string, err error) {
	path = o.Text("path")
	if len(roots) == 0 {
		return "", "", outside(fmt.Errorf("cannot read %s: this session may not read files", path))
	}
	place, err := files.Admit(roots, path)
	if err != nil {
		return "", "", outside(err)
	}
	return place.Root, place.Path, nil
}

// outside returns the error for files that a session may not read, SQ7105.
func outside(err error) error {
	return &lang.Error{Code: "SQ7105", Stage: lang.StagePlan, Msg: err.Error(), Err: err,
		Hint: "allow the directory: roots in [files] of the configuration, or --files for run and the shell"}
}

// openFiles opens the files of a relation. It finds the format and the delimiter where the statement has none.
func openFiles(ctx context.Context, r Request) (Opened, error) {
	if r.Root == "" { // a catalog entry from a version that stored no root
		return Opened{}, outside(fmt.Errorf("cannot read %s: the definition of %s has no root directory; create it again",
			r.Options.Text("path"), r.Relation))
	}
	c := files.Config{Root: r.Root, Path: r.Path, Format: r.Format, Header: r.Options.Bool("header")}
	for _, f := range r.Formats.All() {
		if f.File == nil {
			continue
		}
		c.Formats = append(c.Formats, files.Format{Name: f.Name, Endings: f.File.Endings, Table: f.File.Table})
		if text, given := r.FormatOptions["delimiter"]; given && f.File.Table {
			o, err := option.Read(f.Options, map[string]string{"delimiter": text})
			if err != nil {
				return Opened{}, err
			}
			c.Delimiter = o.Char("delimiter")
		}
	}
	for _, f := range r.Fields {
		c.Fields = append(c.Fields, f.Name)
	}
	src, err := files.Open(ctx, c)
	if errors.Is(err, files.ErrOutside) {
		return Opened{}, outside(err)
	}
	if err != nil {
		return Opened{}, err
	}
	if r.Defining && r.Options.Given("header") && !src.Table() {
		return Opened{}, &option.Error{Option: "header",
			Reason: fmt.Sprintf("option header needs a format with delimited fields, but the format is %s", src.Format())}
	}
	out := Opened{Source: src, Partitions: int32(src.Files()), Format: src.Format(), Options: map[string]string{}}
	if d := src.Delimiter(); d != "" {
		out.Options["delimiter"] = d
	}
	out.Columns = func() ([]arrow.Field, error) { return inferFiles(ctx, src) }
	return out, nil
}

// inferFiles infers columns from the first records.
func inferFiles(ctx context.Context, src *files.Source) ([]arrow.Field, error) {
	header, err := src.Header()
	if err != nil {
		return nil, err
	}
	records, err := src.Sample(ctx, SampleRows)
	switch {
	case err != nil:
		return nil, err
	case src.Table():
		return inferTable(header, records), nil
	case src.Format() == "JSON":
		return inferJSON(records)
	}
	return nil, nil
}
