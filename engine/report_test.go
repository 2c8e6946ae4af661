package engine

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/streamql/streamql/catalog"
	"github.com/streamql/streamql/exec"
	"github.com/streamql/streamql/models"
	"github.com/streamql/streamql/topic"
)

// TestReports checks that each change of status has one line with its attributes, and that a repetition has none.
func TestReports(t *testing.T) {
	var out bytes.Buffer
	e := &Engine{c: Defaults()}
	e.ctx, e.stop = t.Context(), func() {}
	plain := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	e.c.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: plain}))
	away := errors.New("node 2 does not answer")
	trouble := false
	for _, err := range []error{nil, away, away, nil, nil} {
		trouble = e.reportBroker(trouble, err)
	}
	e.reportJob("j", exec.Recovering, topic.ErrLost)
	e.reportJob("j", exec.Running, nil)
	e.reportVersion("m", models.Version{Number: 1, Status: models.Ready}, true)
	e.reportVersion("m", models.Version{Number: 2, Status: models.Corrupt, Err: errors.New("hash")}, false)
	e.reportReplay(exec.Replay{Job: "j", Task: "j.0.1", Records: 7})
	e.reportReplay(exec.Replay{Job: "j", Task: "j.0.1", Records: 5, Ended: true, Took: time.Second})
	e.reportReplay(exec.Replay{Job: "j", Task: "j.0.1", Ended: true, Err: topic.ErrLost})
	e.reportReplay(exec.Replay{Job: "j", Task: "j.0.2", Standby: true})
	e.reportAssignment("j", topic.Assignment{Epoch: 3, Tasks: []topic.Partition{{Topic: "c", ID: 1}}})
	e.reportSnapshot(t.Context(), "j.0.1", nil)
	e.reportSnapshot(t.Context(), "j.0.1", errors.New("full"))
	base := catalog.New()
	broken := base.WithBroken(catalog.Broken{Offset: 9, Kind: "STREAM", Name: "s", Statement: "a secret", Reason: "new"})
	e.reportEntries(base, broken, []*catalog.Entry{{Kind: "TABLE", Name: "t", By: "p"}})
	e.reportEntries(broken, broken, nil)
	const want = `level=WARN msg="broker is away" state=AWAY cause="node 2 does not answer"
level=INFO msg="all brokers are back" state=BACK
level=WARN msg="job continues from its last commit" job=j state=RECOVERING cause="the outcome of a transaction or the ownership of a task is unknown"
level=INFO msg="job has recovered" job=j state=RUNNING
level=DEBUG msg="version of a model" model=m version=1 state=READY
level=ERROR msg="version of a model cannot be read" model=m version=2 state=CORRUPT cause=hash
level=INFO msg="restore of state begins" job=j task=j.0.1 records=7
level=INFO msg="restore of state has ended" job=j task=j.0.1 records=5 took=1s
level=WARN msg="restore of state has ended early" job=j task=j.0.1 records=0 took=0s cause="the outcome of a transaction or the ownership of a task is unknown"
level=DEBUG msg="copy of state begins" job=j task=j.0.2 records=0
level=INFO msg="tasks are assigned" job=j epoch=3 tasks=[1] standbys=[]
level=DEBUG msg="snapshot saved" task=j.0.1
level=WARN msg="snapshot cannot be saved" task=j.0.1 code=SQ7401 cause=full
level=DEBUG msg="catalog entry applied" kind=TABLE name=t by=p
level=ERROR msg="catalog entry cannot be read" kind=STREAM name=s offset=9 code=SQ7306 cause=new
`
	got := strings.Split(out.String(), "\n")
	for i, line := range strings.Split(want, "\n") {
		if i >= len(got) || got[i] != line {
			t.Errorf("line %d:\n%v\nwant\n%s", i, got[min(i, len(got)-1)], line)
		}
	}
}
