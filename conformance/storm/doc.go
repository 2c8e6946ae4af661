// Package storm contains tests of the whole engine on Kafka under faults. Several processes of one
// application run jobs on three fake brokers, over a virtual network, in virtual time, with their state on
// disks that crash. A seed decides which process is killed, disconnected or stalled and when, which requests
// and responses are lost, and which brokers are stopped. After the faults, the output of the jobs must be the
// one that conformance/reference computes, to the byte: no row is lost, duplicated, or out of its key's
// order.
//
// The tests need the build tag "synctests". kgo waits on mutexes, on which testing/synctest cannot advance
// time unless kgo is built with the tag. The seed determines the faults, but not the order in which
// goroutines run, so a seed that has failed may need several runs to fail again. With the additional tag
// "mutants", TestMutants plants known bugs and counts the storms that it needs to find each.
//
//	go test -tags synctests ./conformance/storm -storm.seeds 2000
package storm
