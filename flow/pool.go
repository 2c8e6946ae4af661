package flow

import (
	"fmt"
	"sync/atomic"
)

// ErrFull is what ends the work of an account when others have taken the memory that they share. It is an ErrQuota that passes when they end.
var ErrFull = fmt.Errorf("%w by all queries and jobs together", ErrQuota)

// Pool is memory, in bytes, that the accounts of a process share. It is safe for use by several goroutines. A nil pool refuses nothing.
type Pool struct {
	limit int64
	taken atomic.Int64
}

// NewPool makes a pool of so many bytes; 0: nil, which refuses nothing.
func NewPool(limit int64) *Pool {
	if limit <= 0 {
		return nil
	}
	return &Pool{limit: limit}
}

// Taken is what the accounts hold now. It is what they have charged, rounded up by up to 1.25 MiB each.
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

// An account takes memory of its pool in steps, and gives it back when it holds that much more than it has charged, so that the pool's
// counter is touched seldom.
const (
	poolStep  = 256 << 10
	poolSlack = 1 << 20
)

// Share makes the account take what it charges of a pool too. It is called before anything is charged; Close gives all back.
func (a *Account) Share(p *Pool) *Account {
	a.pool = p
	return a
}

// Close gives back all that the account has taken.
func (a *Account) Close() {
	if a != nil && a.pool != nil {
		a.pool.taken.Add(-a.held)
	}
	if a != nil {
		a.used, a.held = 0, 0
	}
}

// draw takes of the pool what is needed to hold n bytes, and fails if it is not there.
func (a *Account) draw(n int64) {
	more := (n - a.held + poolStep - 1) / poolStep * poolStep
	if a.err != nil {
		return // it ends as it is
	}
	if !a.pool.take(more) {
		a.Fail(fmt.Errorf("%d bytes are needed, and there are %d for all: %w", n, a.pool.limit, ErrFull))
		return
	}
	a.held += more
}

// shrink gives back what is held beyond what is charged.
func (a *Account) shrink() {
	spare := a.held - max(a.used, 0) - poolStep
	a.pool.taken.Add(-spare)
	a.held -= spare
}
