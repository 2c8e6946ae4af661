// Package storm holds tests of the whole engine on Kafka in bad weather. Several processes of one application run jobs against three fake
// brokers over a virtual network, in virtual time, with their state on disks that crash; a seed decides who is killed, cut off or stalled
// and when, which requests and answers are lost and which brokers go away. In the end the fair weather comes back, and what the jobs have
// written must be what conformance/reference computes, to the byte: no row lost, doubled, or out of its key's order.
//
// The tests need the build tag "synctests": kgo waits on mutexes, which hold testing/synctest up unless it is built with it. What happens
// in a storm is decided by the seed, but not the order in which goroutines run: a seed that has failed may need several runs to fail
// again. With the tag "mutants" as well, TestMutants plants known bugs and counts the storms that it takes to find each.
//
//	go test -tags synctests ./conformance/storm -storm.seeds 2000
package storm
