package lang

func (p *printer) createModel(s *CreateModel) {
	p.add("CREATE ")
	p.when(s.OrReplace, "OR REPLACE ")
	p.add("MODEL ")
	p.when(s.IfNotExists, "IF NOT EXISTS ")
	p.name(s.Name)
	p.columns(" INPUT (", s.Input)
	p.columns(" OUTPUT (", s.Output)
	if len(s.Transform) > 0 {
		p.add(" TRANSFORM (")
		p.items(s.Transform)
		p.add(")")
	}
	p.optional(" TARGET ", s.Target)
	p.clause(" WEIGHT ", s.Weight)
	if s.From != nil {
		p.add(" FROM ")
		p.relation(s.From)
	}
	p.optional(" PER ", s.Per)
	p.window(s.Window)
	p.train(s.Train)
	if l := s.Labels; l != nil {
		p.add(" LABELS FROM ")
		p.relation(l.From)
		p.optional(" ON ", &l.On)
		p.length(" WITHIN ", l.Within)
		p.clause(" DEFAULT ", l.Default)
	}
	p.evaluate(s.Evaluate)
	if d := s.Drift; d != nil {
		p.add(" ON DRIFT OF ", string(d.Of))
		p.optional(" USING ", &d.Detector)
		if len(d.Args) > 0 {
			p.add("(")
			p.list(d.Args)
			p.add(")")
		}
		p.add(" ", string(d.Then))
	}
	if m := s.Promote; m != nil {
		p.add(" PROMOTE ", string(m.Mode))
		p.clause(" ", m.When)
	}
	p.with(s.With)
	if s.Query != nil {
		p.add(" AS ")
		p.query(s.Query)
	}
}

func (p *printer) train(t *Train) {
	if t == nil {
		return
	}
	p.add(" TRAIN ", string(t.Mode))
	p.when(t.Memory != "", " "+string(t.Memory))
	p.number(" ", t.Decay)
	if t.Rows != nil {
		p.count(" PUBLISH EVERY ", t.Rows)
		p.add(" ROWS")
	}
	p.length(" PUBLISH EVERY ", t.Every)
}

func (p *printer) evaluate(e *Evaluate) {
	if e == nil {
		return
	}
	p.add(" EVALUATE ", string(e.Mode))
	p.count(" WINDOW ", e.Window)
	p.number(" FADING ", e.Fading)
	if e.Share != nil {
		p.number(" ", e.Share)
		p.add(" BY TIME")
	}
	if e.Query != nil {
		p.add(" ON (")
		p.query(e.Query)
		p.add(")")
	}
}

func (p *printer) modelStatement(s Statement) {
	switch s := s.(type) {
	case *RetrainModel:
		p.optional("RETRAIN MODEL ", &s.Name)
		p.scan(&s.Scan)
	case *DropModel:
		p.add("DROP MODEL ")
		p.when(s.IfExists, "IF EXISTS ")
		p.model(s.Name.Name, s.Name.Version)
	case *ModelCommand:
		p.add(string(s.Verb), " MODEL ")
		p.model(s.Name.Name, s.Name.Version)
	case *AlterModel:
		p.optional("ALTER MODEL ", &s.Name)
		p.optional(" RENAME TO ", s.Rename)
		p.count(" SET DEFAULT VERSION ", s.Default)
		p.count(" SET CHALLENGER ", s.Challenger)
		p.optional(" SET ALIAS ", s.Alias)
		p.count(" ", s.AliasVersion)
		if len(s.Set) > 0 {
			p.add(" SET (")
			p.settings(s.Set)
			p.add(")")
		}
	}
}
