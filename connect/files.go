package connect

import (
	"context"
	"errors"
	"fmt"

	"github.com/apache/arrow/go/v15/arrow"

	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/option"
	"github.com/streamql/streamql/topic/files"
)

var _ = builtin(Connector{
	Name: "files",
	Doc:  "A file, or the files of a directory, each a partition; lines that are added later are read too.",
	Options: []option.Option{
		{Name: "path", Type: option.Text, Needed: true,
			Doc: "the file or directory, from the directory of the process or from one that sessions may read"},
		{Name: "header", Type: option.Bool, Default: "true",
			Doc: "whether the first record of each file names its columns, in formats of delimited fields"},
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

func admitFiles(o option.Values, roots []string) (root, path string, err error) {
	path = o.Text("path")
	if len(roots) == 0 {
		return "", "", outside(fmt.Errorf("cannot read %s: this session may read no files", path))
	}
	place, err := files.Admit(roots, path)
	if err != nil {
		return "", "", outside(err)
	}
	return place.Root, place.Path, nil
}

// outside is the error of files that a session may not read.
func outside(err error) error {
	return &lang.Error{Code: "SQ7105", Stage: lang.StagePlan, Msg: err.Error(), Err: err,
		Hint: "allow its directory: roots in [files] of the configuration, or --files for run and the shell"}
}

func openFiles(ctx context.Context, r Request) (Opened, error) {
	if r.Root == "" { // an entry of the catalog that another version has written
		return Opened{}, outside(fmt.Errorf("cannot read %s: the definition of %s does not say under which directory it is",
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
			Reason: fmt.Sprintf("option header is for formats of delimited fields, and the format is %s", src.Format())}
	}
	out := Opened{Source: src, Partitions: int32(src.Files()), Format: src.Format(), Options: map[string]string{}}
	if d := src.Delimiter(); d != "" {
		out.Options["delimiter"] = d
	}
	out.Columns = func() (fields []arrow.Field, err error) {
		header, err := src.Header()
		for _, name := range header {
			fields = append(fields, flow.Field(name, flow.String))
		}
		return fields, err
	}
	return out, nil
}
