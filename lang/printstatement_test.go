package lang

import (
	"fmt"
	"strconv"
)

// Only the tests use the printer of statements: a printed statement must parse to the same tree. SHOW CREATE shows the
// original text of a statement.

// Print returns the statement as text, on one line and without comments: keywords in capitals, names as written,
// quoted if they were quoted. The text parses to a tree Equal to the statement.
func Print(s Statement) string {
	var p printer
	p.statement(s)
	return p.b.String()
}

func (p *printer) statement(s Statement) {
	switch s := s.(type) {
	case *QueryStatement:
		p.query(s.Query)
	case *CreateSource:
		p.createSource(s)
	case *CreateType:
		p.add("CREATE TYPE ")
		p.when(s.IfNotExists, "IF NOT EXISTS ")
		p.name(s.Name)
		p.add(" AS ")
		p.typeExpr(s.Type)
	case *CreateConnector:
		p.add("CREATE ", string(s.Kind), " CONNECTOR ")
		p.when(s.IfNotExists, "IF NOT EXISTS ")
		p.name(s.Name)
		p.add(" WITH (")
		p.settings(s.With)
		p.add(")")
	case *Drop:
		p.add("DROP ", string(s.Kind), " ")
		p.when(s.IfExists, "IF EXISTS ")
		p.name(s.Name)
		p.when(s.DeleteTopic, " DELETE TOPIC")
	case *AlterSource:
		p.add("ALTER ", string(s.Kind), " ")
		p.name(s.Name)
		p.add(" ")
		p.each(len(s.Add), func(i int) {
			p.add("ADD COLUMN ")
			p.name(s.Add[i].Name)
			p.add(" ")
			p.typeExpr(s.Add[i].Type)
		})
	case *Insert:
		p.insert(s)
	case *Show:
		p.add("SHOW ")
		p.when(s.All, "ALL ")
		p.add(string(s.What))
		p.when(s.Extended, " EXTENDED")
	case *ShowObject:
		p.add("SHOW ", string(s.What), " ")
		p.model(s.Name.Name, s.Name.Version)
	case *Describe:
		p.add("DESCRIBE ")
		p.when(s.What != "", string(s.What)+" ")
		p.model(s.Name.Name, s.Name.Version)
		p.when(s.Extended, " EXTENDED")
	case *Explain:
		p.add("EXPLAIN ")
		p.optional("", s.Query)
		if s.Statement != nil {
			p.statement(s.Statement)
		}
	case *CreateModel:
		p.createModel(s)
	case *DropModel, *AlterModel, *RetrainModel, *ModelCommand:
		p.modelStatement(s)
	case *AssertTopic, *AssertSchema, *AssertValues, *AssertSource:
		p.assertion(s)
	case *CreateArchive, *AlterArchive, *ControlArchive, *DropArchive, *VerifyArchive, *RepairArchive, *ExpireArchive:
		p.archive(s)
	default:
		p.session(s)
	}
}

func (p *printer) createSource(s *CreateSource) {
	p.add("CREATE ")
	p.when(s.OrReplace, "OR REPLACE ")
	p.when(s.ReadOnly, "SOURCE ")
	p.add(string(s.Kind), " ")
	p.when(s.IfNotExists, "IF NOT EXISTS ")
	p.name(s.Name)
	p.columns(" (", s.Columns)
	if s.FromTopic != nil {
		p.optional(" FROM TOPIC ", &s.FromTopic.Name)
	}
	p.with(s.With)
	if s.Query != nil {
		p.add(" AS ")
		p.query(s.Query)
	}
}

// columns prints a list of columns in brackets, if there are any.
func (p *printer) columns(before string, cols []*Column) {
	if len(cols) == 0 {
		return
	}
	p.add(before)
	p.each(len(cols), func(i int) {
		p.name(cols[i].Name)
		p.add(" ")
		p.typeExpr(cols[i].Type)
		p.when(cols[i].Role != "", " "+string(cols[i].Role))
		if cols[i].Key != nil {
			p.add("(")
			p.text(cols[i].Key.Value)
			p.add(")")
		}
	})
	p.add(")")
}

func (p *printer) with(settings []*Setting) {
	if len(settings) > 0 {
		p.add(" WITH (")
		p.settings(settings)
		p.add(")")
	}
}

func (p *printer) settings(settings []*Setting) {
	p.each(len(settings), func(i int) {
		p.name(settings[i].Name)
		p.add(" = ")
		p.expr(settings[i].Value, precLambda)
	})
}

func (p *printer) insert(s *Insert) {
	p.add("INSERT INTO ")
	p.name(s.Into)
	p.namesIn(s.Columns)
	p.with(s.With)
	if s.Query != nil {
		p.add(" ")
		p.query(s.Query)
		return
	}
	p.add(" VALUES ")
	p.each(len(s.Rows), func(i int) { p.row(s.Rows[i]) })
}

func (p *printer) row(r *Row) {
	p.add("(")
	p.list(r.Values)
	p.add(")")
}

// namesIn prints names in brackets, if there are any.
func (p *printer) namesIn(ns []Name) {
	if len(ns) > 0 {
		p.add(" (")
		p.names(ns)
		p.add(")")
	}
}

func (p *printer) session(s Statement) {
	switch s := s.(type) {
	case *PrintTopic:
		p.optional("PRINT ", &s.Topic.Name)
		p.when(s.Beginning, " FROM BEGINNING")
		p.count(" INTERVAL ", s.Interval)
		p.count(" LIMIT ", s.Limit)
	case *Set:
		p.add("SET ")
		p.text(s.Key.Value)
		p.clause(" = ", s.Value)
	case *Unset:
		p.add("UNSET ")
		p.text(s.Key.Value)
	case *Define:
		p.optional("DEFINE ", &s.Name)
		p.add(" = ")
		p.text(s.Value.Value)
	case *Undefine:
		p.optional("UNDEFINE ", &s.Name)
	case *RunScript:
		p.add("RUN SCRIPT ")
		p.text(s.Path.Value)
	case *Control:
		p.add(string(s.Verb))
		p.when(s.Training, " TRAINING")
		p.when(s.All, " ALL")
		p.optional(" ", s.Model)
		p.optional(" ", s.Job)
		p.when(s.From != "", " FROM "+string(s.From))
	default:
		panic(fmt.Sprintf("lang: no printer for %T", s))
	}
}

func (p *printer) count(before string, c *Count) {
	if c != nil {
		p.add(before, strconv.FormatInt(c.N, 10))
	}
}

func (p *printer) number(before string, n *Number) {
	if n != nil {
		p.add(before, n.Text)
	}
}

func (p *printer) length(before string, i *Interval) {
	if i != nil {
		p.add(before)
		p.interval(i)
	}
}

func (p *printer) assertion(s Statement) {
	p.add("ASSERT ")
	switch s := s.(type) {
	case *AssertTopic:
		p.when(s.Absent, "NOT EXISTS ")
		p.optional("TOPIC ", &s.Topic.Name)
		p.with(s.With)
		p.length(" TIMEOUT ", s.Timeout)
	case *AssertSchema:
		p.when(s.Absent, "NOT EXISTS ")
		p.add("SCHEMA")
		if s.Subject != nil {
			p.optional(" SUBJECT ", &s.Subject.Name)
		}
		p.count(" ID ", s.ID)
		p.length(" TIMEOUT ", s.Timeout)
	case *AssertValues:
		p.when(s.Null, "NULL ")
		p.optional("VALUES ", &s.Name)
		p.namesIn(s.Columns)
		if s.Null {
			p.add(" KEY ")
		} else {
			p.add(" VALUES ")
		}
		p.row(s.Row)
	case *AssertSource:
		p.add(string(s.Kind), " ")
		p.name(s.Name)
		p.columns(" (", s.Columns)
		p.with(s.With)
	}
}

func (p *printer) archive(s Statement) {
	switch s := s.(type) {
	case *CreateArchive:
		p.optional("ARCHIVE TOPIC ", &s.Topic.Name)
		p.optional(" AS ", s.As)
		p.add(" TO ")
		p.text(s.To.Value)
		p.when(s.Unsafe, " UNSAFE SINGLE WRITER")
		p.with(s.With)
	case *AlterArchive:
		p.optional("ALTER ARCHIVE ", &s.Topic.Name)
		p.add(" SET (")
		p.settings(s.Set)
		p.add(")")
	case *ControlArchive:
		p.add(string(s.Verb))
		p.optional(" ARCHIVE ", &s.Topic.Name)
	case *DropArchive:
		p.optional("DROP ARCHIVE ", &s.Topic.Name)
		p.when(s.DeleteObjects, " DELETE OBJECTS")
		p.when(s.Force, " FORCE")
	case *VerifyArchive:
		p.optional("VERIFY ARCHIVE ", &s.Topic.Name)
		p.scan(&s.Scan)
		p.when(s.Deep, " DEEP")
		p.when(s.Against, " AGAINST SOURCE")
	case *RepairArchive:
		p.optional("REPAIR ARCHIVE ", &s.Topic.Name)
		p.scan(&s.Scan)
		p.when(s.DryRun, " DRY RUN")
		p.when(s.AcceptLoss, " ACCEPT LOSS")
	case *ExpireArchive:
		p.optional("EXPIRE ARCHIVE ", &s.Topic.Name)
		p.scan(&s.Scan)
		p.length(" OLDER THAN ", s.Older)
		p.count(" BEFORE OFFSET ", s.Before)
		p.when(s.Force, " FORCE")
	}
}
