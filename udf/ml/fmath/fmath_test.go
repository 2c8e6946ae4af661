package fmath

import (
	"math"
	"testing"
)

func TestExpLog(t *testing.T) {
	worst := 0.0
	for x := -744.0; x < 709; x += 0.0371 {
		worst = max(worst, math.Abs(Exp(x)/math.Exp(x)-1)*b2f(x > -700))
	}
	for x := 1e-300; x < 1e300; x *= 1.37 {
		if y := math.Log(x); math.Abs(y) > 1e-3 {
			worst = max(worst, math.Abs(Log(x)/y-1))
		}
	}
	if worst > 5e-16 {
		t.Errorf("relative error %g", worst)
	}
	for _, c := range []struct{ got, want float64 }{
		{Exp(0), 1}, {Exp(math.Inf(-1)), 0}, {Exp(math.Inf(1)), math.Inf(1)}, {Exp(710), math.Inf(1)}, {Exp(-746), 0}, {Exp(-745), 5e-324},
		{Log(1), 0}, {Log(0), math.Inf(-1)}, {Log(math.Inf(1)), math.Inf(1)}, {Sigmoid(0), 0.5}, {Sigmoid(1e308), 1}, {Sigmoid(-1e308), 0}, {Sigmoid(math.Inf(-1)), 0},
	} {
		if c.got != c.want {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	if !math.IsNaN(Exp(math.NaN())) || !math.IsNaN(Log(-1)) {
		t.Error("NaN is lost")
	}
}

func b2f(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func TestTanh32(t *testing.T) {
	last := float32(-2)
	for x := float32(-12); x < 12; x += 0.00037 {
		y := Tanh32(x)
		if d := math.Abs(float64(y) - math.Tanh(float64(x))); d > 5e-7 || y > 1 || y < -1 {
			t.Fatalf("tanh(%v) = %v, off by %v", x, y, d)
		}
		if y < last-4e-7 {
			t.Fatalf("tanh falls at %v", x)
		}
		last = y
		if s := Sigmoid32(x); s < 0 || s > 1 || math.Abs(float64(s)-1/(1+math.Exp(-float64(x)))) > 5e-7 {
			t.Fatalf("sigmoid(%v) = %v", x, s)
		}
	}
	if y := Tanh32(float32(math.NaN())); y == y {
		t.Error("NaN is lost")
	}
	if Tanh32(1e-20) == 0 || Tanh32(float32(math.Inf(-1))) != -1 {
		t.Error("ends")
	}
}
