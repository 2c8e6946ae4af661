package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/lang"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/state"
	"github.com/streamql/streamql/topic"
	"github.com/streamql/streamql/udf/ml"
)

// TestCodesOfErrors checks that Wrap assigns codes to the errors of the packages below, also when they are wrapped,
// and keeps a code that an error has.
func TestCodesOfErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		code string
	}{
		{topic.ErrUnknownTopic, "SQ5004"}, {topic.ErrTopicExists, "SQ5005"}, {topic.ErrTopicReplaced, "SQ5006"},
		{models.ErrNoVersion, "SQ6002"}, {exec.ErrPartitions, "SQ5009"}, {topic.ErrTooLarge, "SQ5105"},
		{topic.ErrUnreachable, "SQ7001"}, {exec.ErrMoved, "SQ7301"}, {state.ErrFormat, "SQ7302"}, {ml.ErrCannot, "SQ6006"},
		{ml.ErrNoRows, "SQ6201"}, {ml.ErrLoss, "SQ6203"}, {ml.ErrHash, "SQ6301"}, {ml.ErrFormat, "SQ6302"},
		{ml.ErrShape, "SQ6303"}, {topic.ErrLocked, "SQ7002"},
		{topic.ErrFenced, "SQ7003"}, {topic.ErrRefused, "SQ7005"},
		{topic.ErrGap{Span: topic.Span{From: 3, To: 9}}, "SQ8001"},
		{&exec.PanicError{Value: "broken"}, "SQ9001"}, {errors.New("something else"), "SQ4000"},
	} {
		var got *lang.Error
		err := Wrap(fmt.Errorf("read topic t: %w", c.err), nil)
		if !errors.As(err, &got) || got.Code != c.code || got.Stage != lang.StageRun || !errors.Is(err, c.err) {
			t.Errorf("%v has code %v, want %s", c.err, err, c.code)
		}
		var twice *lang.Error
		if again := Wrap(err, nil); !errors.As(again, &twice) || twice.Code != c.code || twice.Msg != got.Msg {
			t.Errorf("coded twice, %v became %v", err, again)
		}
	}
	if Wrap(nil, nil) != nil {
		t.Error("no error has no code")
	}
}
