package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/lang"
)

// GiveUp appends an entry that discards catalog entries which cannot be applied, by offset. Their names can then be
// defined anew. The catalog log itself is not edited. Every process of the application ignores the discarded entries,
// except one of a newer version that can read them. The error is a *lang.Error with code SQ7308 if an offset has no
// such entry.
func (e *Engine) GiveUp(ctx context.Context, offsets ...int64) error {
	return Wrap(e.log.Decide(ctx, func(c *catalog.Catalog) (*catalog.Entry, error) {
		for _, at := range offsets {
			if !slices.ContainsFunc(c.Broken(), func(b catalog.Broken) bool { return b.Offset == at }) {
				return nil, &lang.Error{Code: "SQ7308", Stage: lang.StagePlan,
					Msg:  fmt.Sprintf("the catalog log has no entry at offset %d that cannot be applied", at),
					Hint: "streamql repair lists these entries"}
			}
		}
		return &catalog.Entry{Kind: "REPAIR", Change: catalog.Change{Skip: offsets}}, nil
	}), nil)
}

// SkipDamaged restarts a job that is FAILED because of a damaged changelog, and lets it skip the damaged records. The
// state lacks an unknown part afterwards. The error is a *lang.Error with code SQ2023 if the job does not exist, and
// SQ7308 if it has not failed for that reason.
func (e *Engine) SkipDamaged(ctx context.Context, job string) error {
	return Wrap(e.log.Decide(ctx, func(c *catalog.Catalog) (*catalog.Entry, error) {
		j, ok := c.Job(job)
		switch {
		case !ok:
			return nil, &lang.Error{Code: "SQ2023", Stage: lang.StagePlan, Msg: fmt.Sprintf("there is no job %q", job)}
		case j.Failure == nil || j.Failure.Code != "SQ7302":
			return nil, &lang.Error{Code: "SQ7308", Stage: lang.StagePlan,
				Msg:  fmt.Sprintf("job %s has not failed because of a damaged changelog (SQ7302)", j.Name),
				Hint: "streamql repair lists the damaged entries and jobs"}
		}
		return &catalog.Entry{Kind: "REPAIR", Name: j.Name,
			Change: catalog.Change{States: []catalog.State{{Job: j.Name, State: catalog.Running,
				Resume: catalog.ResumeSkip}}}}, nil
	}), nil)
}
