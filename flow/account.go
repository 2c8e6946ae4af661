package flow

import (
	"context"
	"errors"
	"fmt"
)

// The reasons for which an account ends the work that it counts. ErrStopped is deliberately not
// the context's error: work that was stopped in the middle of a batch must not be confused with
// work that ended between two batches, which may be committed.
var (
	ErrQuota   = errors.New("the memory quota is used up")
	ErrStopped = errors.New("the work was stopped in the middle of a batch")
	ErrWork    = errors.New("the budget of steps is used up")
)

// lookEvery is the amount of work between two checks of the context, and the granularity of
// memory charges: 64 KiB, or 4,096 steps.
const (
	lookEvery = 64 << 10
	Step      = 16 // the cost of a row, an element or a generated value in addition to its bytes
)

// Account counts the memory, in bytes, and the work of a query or job, and ends it at its
// limits. Code that allocates memory in proportion to the data charges it, and releases it when
// the memory may be collected. The first refusal is permanent: from then on Err is not nil,
// kernels fill their results with NULL, and the operator that evaluates them returns the error.
// One goroutine owns an account. A nil account counts nothing and refuses nothing.
type Account struct {
	quota int64 // 0: none
	used  int64
	peak  int64
	work  int64 // since the last check of the context
	done  int64 // before that
	steps int64 // remaining, if they are limited
	ends  bool  // steps are limited
	ctx   context.Context
	err   error

	patience int // number of checks for which work may continue after the context has ended

	pool *Pool // nil: none
	held int64 // taken from the pool; at least used, until the pool has refused
}

// NewAccount returns an account with a quota in bytes; 0: none.
func NewAccount(quota int64) *Account { return &Account{quota: quota} }

// NewBudget returns an account that also ends after a number of steps, of which every processed
// byte counts as one.
func NewBudget(ctx context.Context, quota, steps int64) *Account {
	return &Account{quota: quota, ctx: ctx, steps: steps, ends: true}
}

// Watch resets the account: nothing is taken or refused, and ctx ends the work. Work in the
// middle of a batch may continue for patience more checks after ctx has ended, so that it can
// reach a point at which it can be committed.
func (a *Account) Watch(ctx context.Context, patience int) {
	a.Close()
	*a = Account{quota: a.quota, ctx: ctx, patience: patience, pool: a.pool}
}

// Err returns the first refusal: ErrQuota, ErrFull, ErrStopped, ErrWork or the error passed to
// Fail, wrapped.
func (a *Account) Err() error {
	if a == nil {
		return nil
	}
	return a.err
}

// Fail ends the work with an error, unless it has ended already.
func (a *Account) Fail(err error) {
	if a != nil && a.err == nil {
		a.err = err
	}
}

// Used returns the memory that is charged now.
func (a *Account) Used() int64 {
	if a == nil {
		return 0
	}
	return a.used
}

// Peak returns the maximum of Used.
func (a *Account) Peak() int64 {
	if a == nil {
		return 0
	}
	return a.peak
}

// Grow charges n bytes of memory and of work, and reports whether the work may continue.
func (a *Account) Grow(n int64) bool {
	if a == nil {
		return true
	}
	if a.used += n; a.used > a.peak {
		a.peak = a.used
		if a.quota > 0 && a.used > a.quota {
			a.Fail(a.over(0))
		}
	}
	if a.used > a.held && a.pool != nil {
		a.draw(a.used)
	}
	return a.Work(n)
}

// Fits reports whether n more bytes may be taken; if not, the work has ended. It is called
// before a single large allocation.
func (a *Account) Fits(n int64) bool {
	if a == nil {
		return true
	}
	if a.quota > 0 && a.used+n > a.quota || n < 0 || n > 1<<62 {
		a.Fail(a.over(n))
	} else if a.used+n > a.held && a.pool != nil {
		a.draw(a.used + n)
	}
	return a.err == nil
}

func (a *Account) over(n int64) error {
	return fmt.Errorf("%d bytes are needed, the quota is %d: %w", max(a.used+n, a.quota+1), a.quota, ErrQuota)
}

// Release returns n bytes.
func (a *Account) Release(n int64) {
	if a == nil {
		return
	}
	if a.used -= n; a.held-a.used > poolSlack+poolStep {
		a.shrink()
	}
}

// Settle replaces the memory charged since Used returned before by n bytes: intermediate
// results have become garbage.
func (a *Account) Settle(before, n int64) {
	if a == nil {
		return
	}
	a.used = before
	if a.Grow(n); a.held-a.used > poolSlack+poolStep {
		a.shrink()
	}
}

// Work adds n steps or bytes of work, checks the context from time to time, and reports whether
// the work may continue.
func (a *Account) Work(n int64) bool {
	if a == nil {
		return true
	}
	if a.work += n + Step; a.work >= lookEvery {
		a.look()
	}
	return a.err == nil
}

// Steps returns the amount of work that has been done.
func (a *Account) Steps() int64 {
	if a == nil {
		return 0
	}
	return a.done + a.work
}

func (a *Account) look() {
	if a.steps -= a.work; a.ends && a.steps < 0 {
		a.Fail(ErrWork)
	}
	a.done += a.work
	a.work = 0
	if a.ctx == nil {
		return
	}
	if err := a.ctx.Err(); err != nil {
		if a.patience--; a.patience >= 0 {
			return
		}
		a.Fail(fmt.Errorf("%w: %s", ErrStopped, err))
	}
}
