//go:build mutants

package exec

// Around wraps the environment of all jobs that are made from now on in f; nil removes the
// wrapper. Tests use it to plant bugs between a job and its environment.
func Around(f func(Env) Env) { around = f }
