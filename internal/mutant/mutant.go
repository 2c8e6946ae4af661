// Package mutant plants known bugs, so that tests can show that they would notice them. A bug is planted between a job and its world: in the
// brokers, readers, transactions and stores that the job is handed. There, a guard that is left out looks like a reader that never
// says where it is, and a store that moves too early like one that commits itself. So the code that is tested is the code that runs.
// All of it needs the build tag "mutants"; without it the package is empty.
package mutant
