//go:build linux

package main

import (
	"fmt"
	"math/rand/v2"
)

// guarantees runs the same job exactly-once and at-least-once, alternately, over a prefilled topic.
func (r *run) guarantees() error {
	name, err := r.fillOrders()
	if err != nil {
		return err
	}
	jobs := []struct{ name, sql string }{
		{"filter+project", "CREATE STREAM out WITH (topic='%s') AS SELECT account, id, price * quantity AS total " +
			"FROM orders WHERE price > 100;"},
		{"keyed aggregate", "CREATE TABLE out WITH (topic='%s') AS SELECT account, COUNT(*) AS n, " +
			"SUM(price * quantity) AS total FROM orders GROUP BY account;"},
	}
	for _, j := range jobs {
		var once, least, cpuRatio, wallRatio []float64
		for round := range r.rounds {
			var cost, rate [2]float64 // by guarantee: exactly once, at least once
			for i := range 2 {
				which := (round + i) % 2 // the order alternates
				cost[which], rate[which], err = r.job(name, j.name, j.sql, which == 1, round)
				if err != nil {
					return err
				}
			}
			once, least = append(once, rate[0]), append(least, rate[1])
			cpuRatio, wallRatio = append(cpuRatio, cost[1]/cost[0]), append(wallRatio, rate[0]/rate[1])
		}
		r.report.add("eo", j.name+": ratio", "throughput", median(wallRatio), "throughput-min", wallRatio[0],
			"throughput-max", wallRatio[len(wallRatio)-1],
			"per-cpu", median(cpuRatio), "per-cpu-min", cpuRatio[0], "per-cpu-max", cpuRatio[len(cpuRatio)-1],
			"rows/s-once",
			median(once), "rows/s-least", median(least))
	}
	return nil
}

func (r *run) fillOrders() (string, error) {
	for _, t := range r.made {
		return t, nil
	}
	name, err := r.topic("orders")
	if err != nil {
		return "", err
	}
	r.made = append(r.made, name)
	return name, r.fill(name, r.rows, func(rnd *rand.Rand, i int) (key, value []byte) { return order(rnd, i, r.keys) })
}

// job runs one job over the whole topic and returns the CPU seconds per row and the rows per second.
func (r *run) job(orders, kind, sql string, least bool, round int) (cost, rate float64, err error) {
	guarantee := "exactly_once"
	if least {
		guarantee = "at_least_once"
	}
	app := fmt.Sprintf("%s-%c%d%c", r.name, kind[0], round, guarantee[0])
	defer r.sweep(app[len(r.name):])
	p, err := r.start(task{Name: app, Dir: r.dir(app), SQL: r.orders(orders) +
		"SET 'auto.offset.reset'='earliest'; SET 'processing.guarantee'='" + guarantee + "';" +
		fmt.Sprintf(sql, app+".out")})
	if err != nil {
		return 0, 0, err
	}
	defer p.stop()
	all := int64(r.rows)
	if err := p.until(r, func(s sample) bool { return s.Rows >= all }); err != nil {
		return 0, 0, err
	}
	rows, used, wall := p.between(all/5, all)
	_, most := p.memory()
	r.report.add("eo", kind+": "+guarantee, "round", float64(round), "rows/s", float64(rows)/wall.Seconds(),
		"rows/cpu-s", float64(rows)/used.Seconds(), "rss-mib", most)
	return used.Seconds() / float64(rows), float64(rows) / wall.Seconds(), nil
}
