package shell

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/streamql/streamql"
	"github.com/streamql/streamql/exec"
)

// Progress displays the progress of scans and trainings: on a terminal as one line that is redrawn, otherwise
// as one line every five seconds. Operations that take less than half a second are not displayed.
type Progress struct {
	w        io.Writer
	terminal bool
	quiet    bool

	mu      sync.Mutex
	painted bool // the terminal shows a line that must be wiped
	active  *activity
}

// activity is the operation in the foreground, of which there is at most one.
type activity struct {
	begun  time.Time
	shown  time.Time
	stats  func() streamql.Stats // a scan's counters
	model  string                // a training's model
	first  time.Time             // the end of the training's first epoch
	report exec.Progress
	losses []float64
	ended  chan struct{}
	done   sync.WaitGroup
}

const (
	patience = 500 * time.Millisecond
	repaint  = 100 * time.Millisecond
	reline   = 5 * time.Second
)

// NewProgress returns a progress display that writes to w. With quiet it writes nothing.
func NewProgress(w io.Writer, terminal, quiet bool) *Progress {
	return &Progress{w: w, terminal: terminal, quiet: quiet}
}

// Report receives a training's progress; it is the callback for streamql.WithProgress.
func (p *Progress) Report(r exec.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.active
	if a == nil || a.model == "" || r.Pass == 0 || r.Pass <= a.report.Pass {
		return
	}
	if a.first.IsZero() {
		a.first = time.Now()
	}
	a.report = r
	a.losses = append(a.losses, r.Loss)
}

// scan starts to display a scan, training a training. The returned function ends the display and wipes the
// line.
func (p *Progress) scan(stats func() streamql.Stats) (stop func()) {
	return p.begin(&activity{stats: stats})
}

func (p *Progress) training(model string) (stop func()) { return p.begin(&activity{model: model}) }

func (p *Progress) begin(a *activity) func() {
	if p == nil || p.quiet {
		return func() {}
	}
	a.begun, a.ended = time.Now(), make(chan struct{})
	p.mu.Lock()
	p.active = a
	p.mu.Unlock()
	a.done.Add(1)
	go func() {
		defer a.done.Done()
		tick := time.NewTicker(repaint)
		defer tick.Stop()
		for {
			select {
			case <-a.ended:
				return
			case now := <-tick.C:
				p.show(a, now)
			}
		}
	}()
	var once sync.Once
	return func() {
		once.Do(func() {
			close(a.ended)
			a.done.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			p.wipe()
			p.active = nil
		})
	}
}

func (p *Progress) show(a *activity, now time.Time) {
	if now.Sub(a.begun) < patience {
		return
	}
	every := reline
	if p.terminal {
		every = repaint
	}
	since := a.shown
	if since.IsZero() {
		since = a.begun.Add(patience - every)
		if !p.terminal {
			since = a.begun
		}
	}
	if now.Sub(since) < every-repaint/2 {
		return
	}
	a.shown = now
	p.mu.Lock()
	defer p.mu.Unlock()
	line := a.scanLine(now)
	if a.model != "" {
		line = a.trainLine(now, p.terminal)
	}
	if line == "" {
		return
	}
	if !p.terminal {
		fmt.Fprintln(p.w, line)
		return
	}
	fmt.Fprint(p.w, "\r\x1b[K"+cut(line, p.width()-1))
	p.painted = true
}

// width returns the number of columns of the terminal. A longer line would wrap, and could not be wiped.
func (p *Progress) width() int {
	if f, ok := p.w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 1 {
			return n
		}
	}
	return 80
}

func (p *Progress) wipe() {
	if p.painted {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.painted = false
	}
}

func (a *activity) scanLine(now time.Time) string {
	s := a.stats
	if s == nil {
		return ""
	}
	st := s()
	rate := float64(st.Scanned) / now.Sub(a.begun).Seconds()
	if st.Known <= 0 {
		return fmt.Sprintf("scan   %s rows   %s rows/s", short(float64(st.Scanned)), short(rate))
	}
	percent := ratio(st.Scanned, st.Known)
	eta := "-"
	if rate > 0 {
		eta = seconds(time.Duration(float64(max(0, st.Known-st.Scanned)) / rate * float64(time.Second)))
	}
	return fmt.Sprintf("scan   %s %3.0f %%   %s / %s rows   %s rows/s   eta %s", bar(percent, 16), percent,
		short(float64(st.Scanned)),
		short(float64(st.Known)), short(rate), eta)
}

func (a *activity) trainLine(now time.Time, terminal bool) string {
	r := a.report
	if r.Pass == 0 {
		return fmt.Sprintf("train  %s   %s", a.model, seconds(now.Sub(a.begun)))
	}
	// What matters most comes first, because the terminal's width cuts the end.
	line := fmt.Sprintf("train  %s   epoch %d/%d   loss %.4g", a.model, r.Pass, max(r.Passes, r.Pass), r.Loss)
	if terminal {
		line += "   Ctrl-C keeps the best epoch"
	}
	if passed := r.Pass - 1; passed > 0 {
		each := now.Sub(a.first).Seconds() / float64(passed)
		line += fmt.Sprintf("   eta %s   %s rows/s",
			seconds(time.Duration(each*float64(max(0, r.Passes-r.Pass))*float64(time.Second))),
			short(float64(r.Rows)/each))
	}
	return line + "   " + Spark(a.losses)
}

func bar(percent float64, width int) string {
	full := percent / 100 * float64(width)
	n := int(full)
	out := strings.Repeat("█", n)
	if n < width && full-float64(n) >= 0.5 {
		out += "▌"
		n++
	}
	return out + strings.Repeat("░", max(0, width-n))
}

// Spark draws values as bars of eight heights, one character each. It draws the last 16 values; NaN is a
// blank.
func Spark(values []float64) string {
	values = values[max(0, len(values)-16):]
	low, high := 0.0, 0.0
	seen := false
	for _, v := range values {
		if v-v != 0 {
			continue
		}
		if !seen {
			low, high, seen = v, v, true
		}
		low, high = min(low, v), max(high, v)
	}
	var b strings.Builder
	for _, v := range values {
		switch {
		case v-v != 0:
			b.WriteByte(' ')
		case high == low:
			b.WriteRune('▁')
		default:
			b.WriteRune([]rune("▁▂▃▄▅▆▇█")[int((v-low)/(high-low)*7.999)])
		}
	}
	return b.String()
}
