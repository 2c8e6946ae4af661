package streamql

import (
	"context"

	"github.com/streamql/streamql/planner"
)

// quota is what a query and a job may take of the memory, in bytes; 0: there is no limit.
type quota struct{ query, job int64 }

// defaultQuota lets a process live in 2 GiB: while builders grow and until garbage is collected, the process may hold up to three times
// what is charged.
var defaultQuota = quota{query: 256 << 20, job: 512 << 20}

// WithQuota bounds the memory that each query and each job may take, in bytes (default 256 and 512 MiB; 0: no limit). Beyond it the query
// or job fails with SQ7004, and the process lives. The tables of a job's state have a bound of their own, WithStateMemory.
func WithQuota(query, job int64) Option { return func(c *config) { c.quota = quota{query, job} } }

// WithQueryMemory is WithQuota for queries alone.
func WithQueryMemory(bytes int64) Option { return func(c *config) { c.quota.query = bytes } }

// WithJobMemory is WithQuota for jobs alone.
func WithJobMemory(bytes int64) Option { return func(c *config) { c.quota.job = bytes } }

// planning is options for a statement whose planning ends with ctx.
func (e *Engine) planning(ctx context.Context, args []any) planner.Options {
	o := e.options(args)
	o.Context = ctx
	return o
}
