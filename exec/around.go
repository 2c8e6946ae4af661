//go:build mutants

package exec

// Around puts f between all jobs made from now on and their world; nil takes it away. It is for tests that plant bugs there.
func Around(f func(Env) Env) { around = f }
