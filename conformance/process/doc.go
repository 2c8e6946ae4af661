// Package process holds tests of the program as it is used: the built binary, in processes that are killed, paused and started again,
// against a real Kafka over TCP. What the processes write is read by another Kafka client and held against conformance/reference.
//
// The Kafka is the one of $STREAMQL_TEST_KAFKA (HOST:PORT), as .ci/kafka starts it; without that variable the tests start one by .ci/kafka,
// for which Java and Maven are needed. Without either they say so in one line and pass, unless CI=true. STREAMQL_TEST_PROCESS=no leaves them
// out.
package process
