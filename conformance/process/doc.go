// Package process holds tests of the program as it is used: the built binary, in processes that are killed, paused and started again,
// against a real Kafka over TCP. What the processes write is read by another Kafka client and held against conformance/reference.
//
// The Kafka is the one of $STREAMQL_TEST_KAFKA (HOST:PORT), as .ci/kafka starts it. With STREAMQL_TEST_PROCESS=yes or CI=true the tests start
// one by .ci/kafka, for which Java and Maven are needed; with CI=true it is a failure that there is none. Else they say in one line that
// they are left out, and pass, as with -short and STREAMQL_TEST_PROCESS=no.
//
// Tests whose names begin with TestThree want three brokers that they may stop, as .ci/kafka start3 DIR starts them: their addresses in
// $STREAMQL_TEST_KAFKA3 and DIR in $STREAMQL_TEST_KAFKA3_DIR. Without them these tests are left out, and with CI=true they fail.
package process
