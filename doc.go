// Package streamql is a streaming SQL engine. It runs queries, continuous jobs and the training of
// machine-learning models directly over topics: in memory, in a directory, or in a Kafka cluster.
//
// # Usage
//
// Open an engine, define a stream over a topic, insert rows and query them:
//
//	eng, err := streamql.Open(ctx) // in memory
//	if err != nil {
//		return err
//	}
//	defer eng.Close()
//	err = eng.Exec(ctx, `
//		CREATE STREAM cars (car STRING KEY, speed DOUBLE) WITH (topic='cars');
//		INSERT INTO cars VALUES ('a', 10.0), ('b', 25.0);`)
//	if err != nil {
//		return err
//	}
//	rows, err := eng.Query(ctx, `SELECT car, speed FROM cars WHERE speed > $1`, 20.0)
//	if err != nil {
//		return err
//	}
//	for batch, err := range rows.Batches() { // *flow.Batch: an Arrow record
//		if err != nil {
//			return err
//		}
//		fmt.Print(batch.Text())
//	}
//
// [WithDir] stores topics, state and the catalog in a directory, [WithKafka] in a Kafka cluster. Then the
// next Open continues the jobs:
//
//	eng, err := streamql.Open(ctx, streamql.WithDir("./data"))
//
// CREATE STREAM .. AS SELECT and CREATE TABLE .. AS SELECT define jobs, which run in the background until
// they are terminated. [Engine.Jobs] returns their status. CREATE MODEL trains a model, which queries and
// jobs then use in functions such as PREDICT and IS_ANOMALY. A program that serves several clients starts a
// session for each with [Engine.NewSession]. [WithFunction] adds functions that are written in Go.
//
// Errors of statements are of type *[Error] and have a code. `streamql explain CODE` prints its description.
//
// # From text to rows
//
// These functions run a query, in this order:
//
//  1. [Session.Query] calls lang.Parse, which returns statements whose nodes have positions. [Session.Run]
//     runs one of them. Each kind of statement has one line in package engine, in Session.run or
//     Session.answer.
//  2. A definition becomes an entry of the catalog log. decide.Decider checks it against a snapshot.
//     journal.Log.Decide appends it, in one order for all processes. Log.Follow reads it in every process.
//     catalog.Catalog.Apply returns the next snapshot. Engine.apply passes the snapshot to the supervisor,
//     the models and the topics.
//  3. planner.Query, planner.Fill, planner.Insert and planner.Model resolve names and types: expressions
//     become expr.Expr, clauses become nodes of package op. An error is a lang.Error with the position in
//     the source text.
//  4. expr.Folder has folded constants. The planner's prune removes unused columns, so that a scan decodes
//     only the others.
//  5. The planner's lower cuts the tree into stages at each op.Exchange. planner.Explain prints them.
//  6. Decider.Resolve finds the offsets that each scan reads. supervise.Supervisor starts the job on a
//     goroutine of its own: world.Build plans it again (Decider.Again) and creates it with exec.New, and
//     Job.Run runs it. A client's query runs on the client's goroutine.
//  7. A Worker joins the job's group (Broker.Join). It opens a Task for each partition number of a stage in
//     its assignment, or one for all if merge orders them by event time. Worker.prepare restores the store
//     from its changelog, and exec.Wire connects its operators. On the embedded broker one worker owns all
//     tasks, and there is no changelog.
//  8. A pump (exec/session.go) polls a topic.Reader for each partition. Worker.step passes the Fetch to its
//     task and returns the next action.
//  9. The scan's Decode turns bytes into columns with a format.Codec. Records that it cannot decode become
//     dead letters. Task.push sets stream time and pushes the batch.
//  10. Operators Process and emit, down to op.Sink, which writes into the worker's transaction, or to
//     [Rows.Batches].
//  11. Worker.commit makes outputs, dead letters, state (Store.Pending) and positions one transaction. The
//     worker then continues at step 8. If the outcome of a commit or the ownership of a task is in doubt
//     (topic.ErrLost), Job.Run discards uncommitted work and continues at step 7. Any other error ends the
//     job, and supervise.Classify decides whether it is restarted.
//
// A CREATE MODEL takes the same steps. Its root is op.Train: rows arrive through the same scan, and the
// result, a version, is committed to the model's topic. models.Registry follows that topic. op.Predict
// takes a new version between two batches.
package streamql
