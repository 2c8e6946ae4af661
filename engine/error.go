package engine

import (
	"errors"
	"fmt"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/flow"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/supervise"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf"
	"github.com/streamql/streamql/udf/ml"
)

// codes maps the errors of the packages below to codes.
var codes = []struct {
	err  error
	code string
}{
	{ml.ErrNoRows, "SQ6201"}, {ml.ErrLoss, "SQ6203"}, {ml.ErrHash, "SQ6301"}, {ml.ErrFormat, "SQ6302"},
	{ml.ErrShape, "SQ6303"},
	{ml.ErrCannot, "SQ6006"}, {topic.ErrLocked, "SQ7002"}, {topic.ErrFenced, "SQ7003"}, {topic.ErrTopicReplaced, "SQ5006"},
	{topic.ErrTooLarge, "SQ5105"}, {topic.ErrUnreachable, "SQ7001"}, {exec.ErrMoved, "SQ7301"},
	{state.ErrFormat, "SQ7302"}, {exec.ErrPartitions, "SQ5009"},
	{topic.ErrUnknownTopic, "SQ5004"}, {topic.ErrTopicExists, "SQ5005"}, {topic.ErrRefused, "SQ7005"},
	{models.ErrNoVersion, "SQ6002"},
	{flow.ErrQuota, "SQ7004"}, {udf.ErrLimit, "SQ4003"},
}

// Wrap returns err as a *lang.Error with a code. An error that has a code keeps it. st, if it is not nil, adds the
// number of the statement, and its position to an error of planning without one. lang.Errors and nil are returned
// unchanged.
func Wrap(err error, st lang.Statement) error {
	if err == nil {
		return nil
	}
	var list lang.Errors
	if errors.As(err, &list) {
		return err
	}
	var e *lang.Error
	if !errors.As(err, &e) {
		e = &lang.Error{Code: code(err), Stage: lang.StageRun, Msg: err.Error(), Err: err}
	}
	if st != nil && e.Stmt == 0 {
		c := *e
		c.Stmt = st.Number()
		if c.Pos.Line == 0 && c.Stage == lang.StagePlan {
			c.Pos, c.Len = st.Position(), 1
		}
		e = &c
	}
	return e
}

// code returns the code of an error, SQ4000 if it has none of its own.
func code(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	var bug *exec.PanicError
	if errors.As(err, &bug) {
		return "SQ9001"
	}
	var gap topic.ErrGap
	if errors.As(err, &gap) {
		return "SQ8001"
	}
	return "SQ4000"
}

// failure converts the failure of a row to a warning.
func failure(job string, f exec.Failure) *lang.Error {
	e := &lang.Error{Code: f.Code, Level: lang.LevelWarning, Stage: lang.StageRun, Msg: f.Err.Error(), Err: f.Err}
	e.Where = lang.Where{Topic: f.Topic, Partition: f.ID, Offset: int64(f.Offset), Job: job, Source: f.Source}
	if f.Record != nil {
		e.Msg = fmt.Sprintf("a record of topic %q could not be decoded: %v", f.Topic, f.Err)
	}
	return e
}

// asError returns an error with a code, or the first one of a lang.Errors.
func asError(err error) *lang.Error {
	if list := lang.AsErrors(Wrap(err, nil)); len(list) > 0 {
		return list[0]
	}
	return &lang.Error{Code: "SQ4000", Stage: lang.StageRun, Msg: err.Error(), Err: err}
}

// jobFailed returns the error that reports a failed job.
func jobFailed(s supervise.Status) *lang.Error {
	return &lang.Error{Code: s.Failure.Code, Stage: lang.StageRun,
		Msg: fmt.Sprintf("job %s has failed: %s", s.Job.Name, s.Failure.Cause), Hint: s.Failure.Cure,
		Where: lang.Where{Job: s.Job.Name}}
}
