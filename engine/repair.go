package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/lang"
)

// GiveUp appends an entry that gives up entries of the catalog which cannot be applied, by offset. Their names can be defined anew. Nothing is
// edited or deleted. Every process of the application follows; one of a newer version, which can read the entries, keeps what they define.
func (e *Engine) GiveUp(ctx context.Context, offsets ...int64) error {
	return Wrap(e.log.Decide(ctx, func(c *catalog.Catalog) (*catalog.Entry, error) {
		for _, at := range offsets {
			if !slices.ContainsFunc(c.Broken(), func(b catalog.Broken) bool { return b.Offset == at }) {
				return nil, &lang.Error{Code: "SQ7308", Stage: lang.StagePlan, Msg: fmt.Sprintf("the catalog has no entry at offset %d that cannot be applied", at), Hint: "streamql repair lists them"}
			}
		}
		return &catalog.Entry{Kind: "REPAIR", Change: catalog.Change{Skip: offsets}}, nil
	}), nil)
}

// SkipDamaged restarts a job that is FAILED and lets it leave out records of its changelogs that are no state. What the state lacks because of
// that, nobody knows.
func (e *Engine) SkipDamaged(ctx context.Context, job string) error {
	return Wrap(e.log.Decide(ctx, func(c *catalog.Catalog) (*catalog.Entry, error) {
		j, ok := c.Job(job)
		switch {
		case !ok:
			return nil, &lang.Error{Code: "SQ2023", Stage: lang.StagePlan, Msg: fmt.Sprintf("there is no job %q", job)}
		case j.Failure == nil || j.Failure.Code != "SQ7302":
			return nil, &lang.Error{Code: "SQ7308", Stage: lang.StagePlan, Msg: fmt.Sprintf("job %s has not failed because of a damaged changelog (SQ7302)", j.Name), Hint: "streamql repair lists what is damaged"}
		}
		return &catalog.Entry{Kind: "REPAIR", Name: j.Name, Change: catalog.Change{States: []catalog.State{{Job: j.Name, State: catalog.Running, Resume: catalog.ResumeSkip}}}}, nil
	}), nil)
}
