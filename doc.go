// Package streamql is a streaming SQL engine that trains machine-learning models and predicts with them directly on topics.
//
// # From text to rows
//
// These functions run a query, in this order:
//
//  1. [Session.Query] calls lang.Parse, which returns statements with a place on every node; [Session.Run] runs one of them. Each kind of
//     statement has one line in package engine, in Session.run or Session.answer.
//  2. A definition becomes an entry of the catalog log: decide.Decider decides it against a snapshot, journal.Log.Decide appends it in its
//     turn among the processes, and Log.Follow reads it back, here and in every other process. catalog.Catalog.Apply returns the next
//     snapshot, and Engine.apply lets the supervisor, the models and the topics follow it.
//  3. planner.Query, planner.Fill, planner.Insert and planner.Model resolve names and types: expressions become expr.Expr, clauses
//     become nodes of package op. An error is a lang.Error that underlines the source.
//  4. planner's prune removes every column that is not used, so that a scan decodes no more than it must; expr.Folder has folded constants.
//  5. planner's lower cuts the tree at each op.Exchange into stages; planner.Explain prints them.
//  6. Decider.Resolve finds the offsets that each scan reads. supervise.Supervisor starts the job on a goroutine of its own: world.Build plans
//     it again (Decider.Again) and makes it with exec.New; Job.Run runs it. A query of a client runs on the client's goroutine.
//  7. A Worker takes its place in the job's group (Broker.Join) and opens a Task for each partition number of a stage that is given to it
//     (or one for all, which merge orders by event time): Worker.prepare brings its store up to its changelog, exec.Wire wires its
//     operators. On the embedded broker all tasks are its own, and there is no changelog.
//  8. A pump (exec/session.go) polls a topic.Reader for each partition; Worker.step takes the Fetch to its task and says what comes next.
//  9. The scan's Decode turns bytes into columns through a format.Codec, rows it cannot read into dead letters; Task.push stamps
//     stream time and pushes the batch.
//  10. Operators Process and emit, down to op.Sink, which writes into the worker's transaction, or to [Rows.Batches].
//  11. Worker.commit makes one transaction of outputs, dead letters, state (Store.Pending) and positions. Then on to 8. When the outcome or
//     the ownership of anything is in doubt (topic.ErrLost), Job.Run drops what is uncommitted and goes on from 7. Any other error ends the
//     job, and supervise.Classify says what becomes of it.
//
// A CREATE MODEL walks the same way: its root is op.Train, whose rows come through the same scan and whose result, a version, goes out
// through the same commit into the model's topic, which models.Registry follows. op.Predict takes versions as they appear, between two batches.
package streamql
