//go:build linux

package main

import "fmt"

// consume compares a query that projects JSON with a loop that polls the same records and discards them.
func (r *run) consume() error {
	name, err := r.fillOrders()
	if err != nil {
		return err
	}
	const ask = "SELECT id, price, channel FROM orders SINCE EARLIEST %s WHERE price > 100 %s;"
	tasks := []struct {
		name string
		task
	}{
		{"poll", task{Topic: name, Partitions: r.partitions, Rows: int64(r.rows)}},
		{"query", task{SQL: r.orders(name), Query: fmt.Sprintf(ask, "", "EMIT CHANGES"), Rows: int64(r.rows)}},
		{"bounded query", task{SQL: r.orders(name), Query: fmt.Sprintf(ask, "UNTIL NOW", ""), Rows: int64(r.rows)}},
	}
	costs := make([][]float64, len(tasks))
	for round := range r.rounds {
		for i, t := range tasks {
			t.Name = fmt.Sprintf("%s-c%d%d", r.name, round, i)
			cost, err := r.read(t.task)
			r.sweep(t.Name[len(r.name):])
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			costs[i] = append(costs[i], cost)
			r.report.add("consume", t.name, "round", float64(round), "cpu-us/row", cost*1e6)
		}
	}
	for i := 1; i < len(tasks); i++ {
		var ratios []float64
		for round := range r.rounds {
			ratios = append(ratios, costs[i][round]/costs[0][round])
		}
		r.report.add("consume", tasks[i].name+": ratio", "cpu", median(ratios), "cpu-min", ratios[0], "cpu-max",
			ratios[len(ratios)-1])
	}
	return nil
}

// read runs a task that reads, and returns the CPU seconds per row.
func (r *run) read(t task) (float64, error) {
	p, err := r.start(t)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	if err := p.until(r, func(s sample) bool { return s.Done }); err != nil {
		return 0, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	return (last.CPU - first.CPU).Seconds() / float64(last.Rows), nil
}
