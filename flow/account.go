package flow

import (
	"context"
	"errors"
	"fmt"
)

// The ways in which an account ends the work it counts. ErrStopped is deliberately not the context's own error: work that was left
// half-way must not be taken for work that ended between two batches, which may be committed.
var (
	ErrQuota   = errors.New("the memory quota is used up")
	ErrStopped = errors.New("the work was stopped half-way")
	ErrWork    = errors.New("the budget of steps is used up")
)

// lookEvery is how much work is done between two looks at the context, and the coarsest step in which memory is charged: 64 KiB, or
// 4,096 steps.
const (
	lookEvery = 64 << 10
	Step      = 16 // what a row, an element or a generated value costs beside its bytes
)

// Account is what a query or job has taken of its memory, in bytes, and whether it may go on. Code that takes memory which grows with
// the data charges it, and gives it back when the memory may be collected. The first refusal sticks: from then on Err is not nil, kernels
// fill up with NULL, and the operator that evaluates them returns the error. An account belongs to one goroutine. A nil account counts
// nothing and refuses nothing.
type Account struct {
	quota int64 // 0: none
	used  int64
	peak  int64
	work  int64 // since the last look at the context
	done  int64 // before that
	steps int64 // left, where they are limited
	ends  bool  // steps are limited
	ctx   context.Context
	err   error

	patience int // looks that an ended context still grants

	pool *Pool // nil: none
	held int64 // taken of the pool; not less than used, until it has refused
}

// NewAccount makes an account with a quota in bytes; 0: none.
func NewAccount(quota int64) *Account { return &Account{quota: quota} }

// NewBudget makes an account that also ends after so many steps, where a byte that is worked on counts as one.
func NewBudget(ctx context.Context, quota, steps int64) *Account {
	return &Account{quota: quota, ctx: ctx, steps: steps, ends: true}
}

// Watch begins anew: nothing is taken, nothing has been refused, and ctx says when to stop. Work that ctx finds half-way may go on for
// patience looks more, to come to an end at which it can be committed.
func (a *Account) Watch(ctx context.Context, patience int) {
	a.Close()
	*a = Account{quota: a.quota, ctx: ctx, patience: patience, pool: a.pool}
}

// Err is the first refusal: ErrQuota, ErrFull, ErrStopped, ErrWork or what Fail was given, wrapped.
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

// Used is what is taken now, Peak the most that ever was.
func (a *Account) Used() int64 {
	if a == nil {
		return 0
	}
	return a.used
}

// Peak is the most that was taken at one time.
func (a *Account) Peak() int64 {
	if a == nil {
		return 0
	}
	return a.peak
}

// Grow charges n bytes, which it takes for worked on too, and reports whether the work may go on.
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

// Fits reports whether n bytes more may be taken; if not, the work has ended. It comes before an allocation that is large at once.
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

// Release gives n bytes back.
func (a *Account) Release(n int64) {
	if a == nil {
		return
	}
	if a.used -= n; a.held-a.used > poolSlack+poolStep {
		a.shrink()
	}
}

// Settle makes what was taken since Used gave before n bytes: what was needed on the way is garbage now.
func (a *Account) Settle(before, n int64) {
	if a == nil {
		return
	}
	a.used = before
	if a.Grow(n); a.held-a.used > poolSlack+poolStep {
		a.shrink()
	}
}

// Work notes n steps or bytes of work, looks at the context when enough have come together, and reports whether the work may go on.
func (a *Account) Work(n int64) bool {
	if a == nil {
		return true
	}
	if a.work += n + Step; a.work >= lookEvery {
		a.look()
	}
	return a.err == nil
}

// Steps is how much work has been done.
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
