package flow

import (
	"fmt"
	"sync/atomic"
)

// ErrFull ends the work of an account if the memory that it shares with others is used up. It
// is an ErrQuota that passes when other work ends.
var ErrFull = fmt.Errorf("%w by all queries and jobs together", ErrQuota)

// Pool is memory, in bytes, that the accounts of a process share. It is safe for concurrent
// use. A nil pool refuses nothing.
type Pool struct {
	limit int64
	taken atomic.Int64
}

// NewPool returns a pool of limit bytes; 0: nil, which refuses nothing.
func NewPool(limit int64) *Pool {
	if limit <= 0 {
		return nil
	}
	return &Pool{limit: limit}
}

// Taken returns the memory that the accounts hold now: their charges, each rounded up by at
// most 1.25 MiB.
func (p *Pool) Taken() int64 {
	if p == nil {
		return 0
	}
	return p.taken.Load()
}

// take takes n bytes, or none.
func (p *Pool) take(n int64) bool {
	if p.taken.Add(n) <= p.limit {
		return true
	}
	p.taken.Add(-n)
	return false
}

// An account takes memory from its pool in steps of poolStep, and returns it when it holds
// poolSlack more than it has charged, so that the pool's shared counter is rarely changed.
const (
	poolStep  = 256 << 10
	poolSlack = 1 << 20
)

// Share makes the account also charge a pool. It must be called before the first charge. Close
// returns everything to the pool.
func (a *Account) Share(p *Pool) *Account {
	a.pool = p
	return a
}

// Close returns all memory of the account.
func (a *Account) Close() {
	if a != nil && a.pool != nil {
		a.pool.taken.Add(-a.held)
	}
	if a != nil {
		a.used, a.held = 0, 0
	}
}

// draw takes from the pool until the account holds n bytes, or fails.
func (a *Account) draw(n int64) {
	more := (n - a.held + poolStep - 1) / poolStep * poolStep
	if a.err != nil {
		return // the account has failed already
	}
	if !a.pool.take(more) {
		a.Fail(
			fmt.Errorf(
				"%d bytes are needed, but the limit for all queries and jobs is %d: %w",
				n,
				a.pool.limit,
				ErrFull,
			),
		)
		return
	}
	a.held += more
}

// shrink returns held memory that is not charged.
func (a *Account) shrink() {
	spare := a.held - max(a.used, 0) - poolStep
	a.pool.taken.Add(-spare)
	a.held -= spare
}
