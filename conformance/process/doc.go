// Package process contains tests of the built binary. Its processes are killed, paused and restarted, on a
// real Kafka over TCP. Another Kafka client reads their output, which is compared with that of
// conformance/reference.
//
// $STREAMQL_TEST_KAFKA is the address of the Kafka (HOST:PORT), as .ci/kafka start prints it. With
// STREAMQL_TEST_PROCESS=yes or CI=true the tests start a Kafka with .ci/kafka, which requires Java and Maven.
// With CI=true they fail if there is no Kafka. Otherwise, with -short, and with STREAMQL_TEST_PROCESS=no,
// they print one line that says that they are left out, and pass.
//
// Tests whose names begin with TestThree require three brokers that they may stop, as .ci/kafka start3 DIR
// starts them. $STREAMQL_TEST_KAFKA3 contains their addresses and $STREAMQL_TEST_KAFKA3_DIR is DIR. Without
// them these tests are left out, and with CI=true they fail.
package process
