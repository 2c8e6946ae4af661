// Package mutant plants known bugs, so that tests can prove that they detect them. A bug is
// planted between a job and its environment: in the brokers, readers, transactions and stores
// that the job uses. A missing check of offsets, for example, is simulated by a reader whose
// fetches always seem to begin at the expected offset, and a store that is updated too early by
// one that commits itself. The code under test is therefore the production code. All of the
// package requires the build tag "mutants"; without it the package is empty.
package mutant
