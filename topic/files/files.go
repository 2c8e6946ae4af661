// Package files reads a file, or a directory of files, as a topic. Each file is a partition, in
// the order of names, and the offset of a row is its number from 0. Records are bytes for a
// codec of package format. The fields of a CSV file with a header are first reordered to the
// declared columns, so that one codec reads files of different layouts.
package files

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/streamql/streamql/topic"
)

// Config selects the files and describes their format.
type Config struct {
	Root      string   // an absolute path; nothing outside is read. "": Everywhere
	Path      string   // below Root: a file, or a directory: its files by name, without hidden ones and subdirectories
	Formats   []Format // the formats of records that are known
	Format    string   // of a record: its name, or an ending without the dot; "": by the ending of the files' names
	Header    bool     // tables: the first record of each file names its columns
	Delimiter byte     // tables: 0 is a comma, or a tab in files that end in .tsv
	Fields    []string // with Header: the declared columns, in order; nil: records stay as they are

	Time func(record []byte) int64   // timestamp of a record in ms; nil: 0
	Wait func(context.Context) error // the delay between two looks at a file; nil: 200 ms
}

// Format is a format of records as far as files differ by it.
type Format struct {
	Name    string   // in capitals
	Endings []string // of files' names, in lower case: ".csv"
	// Table says that a record is fields between delimiters, that a quoted field may hold line breaks, and that a
	// file may have a header; else every line is a record.
	Table bool
}

// Source reads the files that were there when it was opened. It is safe for use by several goroutines.
type Source struct {
	config Config
	place  Place
	format string
	table  bool
	files  []*file
}

// Open finds the files, and opens each of them once. Errors contain the path and the cause,
// never the contents of a file. A path is an error if it does not exist or cannot be read, is
// not a regular file or a directory, or is a directory without files or with files of several
// formats, or if no extension determines the format.
func Open(ctx context.Context, c Config) (*Source, error) {
	s := &Source{
		config: c,
		format: strings.ToUpper(strings.TrimSpace(c.Format)),
		place:  Place{cmp.Or(c.Root, Everywhere), c.Path},
	}
	info, err := s.place.stat(".")
	if err != nil {
		return nil, err
	}
	names := []string{"."}
	if info.IsDir() {
		if names, err = s.place.list(); err != nil {
			return nil, err
		}
		slices.Sort(names)
	}
	if f, ok := c.byEnding("." + strings.ToLower(s.format)); ok {
		s.format = f.Name
	}
	if s.config.Wait == nil {
		s.config.Wait = pause
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.add(name); err != nil {
			return nil, err
		}
	}
	return s, s.complete()
}

// complete returns an error if no file has a declared column. A column that some of the files have is NULL in the
// others.
func (s *Source) complete() error {
	for i, field := range s.config.Fields {
		if !slices.ContainsFunc(s.files, func(f *file) bool { return !f.lacks(i) }) {
			return fmt.Errorf("%s: its header does not contain the declared column %s", s.files[0].path, field)
		}
	}
	return nil
}

func (s *Source) add(name string) error {
	path := s.place.below(name)
	ending := strings.ToLower(filepath.Ext(path))
	if s.config.Format == "" {
		format, known := s.config.byEnding(ending)
		switch {
		case slices.Contains(later, ending):
			return fmt.Errorf("%s: files that end in %s are not supported yet", path, ending)
		case !known:
			return fmt.Errorf("the ending of %s determines no format; set one, such as format='json'", path)
		case s.format != "" && s.format != format.Name:
			return fmt.Errorf("%s is %s, but %s is %s: files of one source have one format", path, format.Name,
				s.files[0].path, s.format)
		}
		s.format = format.Name
	}
	f := &file{place: s.place, name: name, path: path, lines: true}
	s.table = slices.ContainsFunc(s.config.Formats, func(f Format) bool { return f.Name == s.format && f.Table })
	if s.table {
		f.lines = false
		f.header, f.fields = s.config.Header, s.config.Fields
		f.delim = s.config.Delimiter
		if f.delim == 0 {
			f.delim = ','
			if ending == ".tsv" {
				f.delim = '\t'
			}
		}
		if len(s.files) > 0 && s.files[0].delim != f.delim {
			return fmt.Errorf(
				"%s and %s have different delimiters: files of one source have one",
				s.files[0].path,
				path,
			)
		}
	}
	s.files = append(s.files, f)
	return f.check()
}

// later are endings of formats that are not read yet.
var later = []string{".parquet", ".arrow", ".arrows"}

func (c *Config) byEnding(ending string) (Format, bool) {
	i := slices.IndexFunc(c.Formats, func(f Format) bool { return slices.Contains(f.Endings, ending) })
	if i < 0 {
		return Format{}, false
	}
	return c.Formats[i], true
}

// Table reports whether the records are fields between delimiters, so that a file may have a header.
func (s *Source) Table() bool { return s.table }

// Format returns the name of the format of the records, from the configuration or the
// extensions.
func (s *Source) Format() string { return s.format }

// Delimiter returns the separator of the fields of a record in the notation of a codec's
// delimiter option: TAB, SPACE or the character itself; "" if the format has none. The codec of
// the records must use the same.
func (s *Source) Delimiter() string {
	switch d := s.files[0].delim; d {
	case 0:
		return ""
	case '\t':
		return "TAB"
	case ' ':
		return "SPACE"
	default:
		return string(rune(d))
	}
}

// Header returns the column names of the first file; nil without a header.
func (s *Source) Header() ([]string, error) {
	if !s.files[0].header {
		return nil, nil
	}
	h, err := s.files[0].open()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	names, _, err := s.files[0].readHeader(h)
	return names, err
}

// Begins implements topic.Begins.
func (s *Source) Begins(name string) topic.Topic {
	t := topic.Topic{Name: name, ID: s.place.String()}
	for i := range s.files {
		t.Partitions = append(t.Partitions, topic.Span{Partition: topic.Partition{Topic: name, ID: int32(i)}})
	}
	return t
}

// Describe counts the present rows and reads the parts of files that were not read yet. A last
// line without a line break is a row. Every name is accepted as the topic's.
func (s *Source) Describe(ctx context.Context, name string) (topic.Topic, error) {
	t := s.Begins(name)
	for i, f := range s.files {
		rows, err := f.count(ctx)
		if err != nil {
			return t, err
		}
		t.Partitions[i].To = rows
	}
	return t, nil
}

func pause(ctx context.Context) error {
	t := time.NewTimer(200 * time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Files returns the number of files, which is the number of partitions. It reads nothing.
func (s *Source) Files() int { return len(s.files) }
