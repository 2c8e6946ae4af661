package flow

import (
	"context"
	"errors"
	"sync"
	"testing"
)

// TestPool: an account that takes more than is left fails, released memory can be taken again,
// and a closed account holds nothing.
func TestPool(t *testing.T) {
	p := NewPool(8 << 20)
	a, b := NewAccount(0).Share(p), NewAccount(0).Share(p)
	if !a.Grow(5<<20) || !b.Fits(2<<20) || !b.Grow(2<<20) || p.Taken() != 7<<20 {
		t.Fatalf("%v, %v, %d are taken", a.Err(), b.Err(), p.Taken())
	}
	if b.Fits(2<<20) || !errors.Is(b.Err(), ErrFull) || !errors.Is(b.Err(), ErrQuota) {
		t.Errorf("beyond the pool: %v", b.Err())
	}
	b.Close()
	if a.Release(4 << 20); p.Taken() != 1<<20+poolStep || !a.Grow(6<<20) {
		t.Errorf("after giving back %d are taken, %v", p.Taken(), a.Err())
	}
	a.Settle(0, 1<<10)
	if p.Taken() > 1<<20 {
		t.Errorf("after settling %d are taken", p.Taken())
	}
	a.Close()
	a.Watch(context.TODO(), 0)
	if p.Taken() != 0 || a.Err() != nil {
		t.Errorf("after the end %d are taken, %v", p.Taken(), a.Err())
	}
	if !a.Grow(8<<20) || a.Grow(1) {
		t.Errorf("after beginning anew: %v", a.Err())
	}
	none := NewAccount(0).Share(nil)
	if !none.Grow(1<<40) || !none.Fits(1<<50) {
		t.Error(none.Err())
	}
	none.Release(1 << 40)
	none.Close()
}

// TestPoolSmall: small charges rarely change the pool, and it never holds more than the
// accounts.
func TestPoolSmall(t *testing.T) {
	p := NewPool(64 << 20)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			a := NewAccount(0).Share(p)
			defer a.Close()
			for range 10_000 {
				a.Grow(1000)
				a.Release(500)
				if a.held < a.used || a.held > a.used+poolSlack+poolStep {
					t.Errorf("%d are used, %d held", a.used, a.held)
					return
				}
			}
		})
	}
	all.Wait()
	if p.Taken() != 0 {
		t.Errorf("%d are left taken", p.Taken())
	}
}
