//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/streamql/streamql/exec/op"
	"github.com/streamql/streamql/topic"
)

// orders is the relation of the first measurements: 15 fields of JSON, about 300 bytes, keyed
// by account.
const orderColumns = `account STRING KEY, id BIGINT, region STRING, product STRING, quantity INT, price DOUBLE, currency STRING, channel STRING,
	status STRING, coupon STRING, street STRING, city STRING, note STRING, score DOUBLE, version INT, created BIGINT`

func (r *run) orders(name string) string {
	return fmt.Sprintf("CREATE STREAM orders (%s) WITH (topic='%s', value_format='json', partitions=%d);\n",
		orderColumns, name, r.partitions)
}

var (
	regions  = []string{"eu-west", "eu-north", "us-east", "us-west", "ap-south"}
	channels = []string{"web", "app", "phone", "partner"}
	states   = []string{"placed", "paid", "sent", "returned"}
)

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -"

func noise(rnd *rand.Rand, b []byte, n int) []byte {
	for i := 0; i < n; i += 10 {
		bits := rnd.Uint64()
		for k := i; k < min(i+10, n); k++ {
			b = append(b, letters[bits&63])
			bits >>= 6
		}
	}
	return b
}

func order(rnd *rand.Rand, i, keys int) (key, value []byte) {
	key = fmt.Appendf(nil, "account-%07d", rnd.IntN(keys))
	b := make([]byte, 0, 400)
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, int64(i), 10)
	b = fmt.Appendf(b, `,"region":"%s","product":"p-%05d","quantity":%d,"price":%d.%02d,"currency":"EUR",`+
		`"channel":"%s","status":"%s","coupon":null,"street":"`,
		regions[rnd.IntN(5)], rnd.IntN(100_000), 1+rnd.IntN(9), rnd.IntN(500), rnd.IntN(100), channels[rnd.IntN(4)],
		states[rnd.IntN(4)])
	b = noise(rnd, b, 20)
	b = append(b, `","city":"`...)
	b = noise(rnd, b, 10)
	b = append(b, `","note":"`...)
	b = noise(rnd, b, 60)
	return key, fmt.Appendf(b, `","score":0.%06d,"version":1,"created":%d}`, rnd.IntN(1e6), time.Now().UnixMicro())
}

// topic creates a topic of this run.
func (r *run) topic(name string) (string, error) {
	name = r.name + "." + name
	return name, r.admin.Create(r.ctx, name, topic.Config{Partitions: int32(r.partitions), RetentionMs: -1})
}

func (r *run) producer() (*kgo.Client, error) {
	return kgo.NewClient(kgo.SeedBrokers(strings.Split(r.brokers, ",")...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(10*time.Millisecond), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerBatchMaxBytes(900_000))
}

func (r *run) record(name string, key, value []byte) *kgo.Record {
	return &kgo.Record{Topic: name, Partition: op.PartitionOf(key, int32(r.partitions)), Key: key, Value: value}
}

// fill writes n records, which one generates.
func (r *run) fill(name string, n int, one func(rnd *rand.Rand, i int) (key, value []byte)) error {
	cl, err := r.producer()
	if err != nil {
		return err
	}
	defer cl.Close()
	rnd := rand.New(rand.NewPCG(1, uint64(n)))
	var failed atomic.Pointer[error]
	for i := range n {
		key, value := one(rnd, i)
		cl.Produce(r.ctx, r.record(name, key, value), func(_ *kgo.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := cl.Flush(r.ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// pace writes records at a rate until ctx ends.
func (r *run) pace(ctx context.Context, name string, rate int,
	one func(rnd *rand.Rand, i int) (key, value []byte)) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(r.brokers, ",")...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))
	if err != nil {
		return err
	}
	defer cl.Close()
	rnd := rand.New(rand.NewPCG(2, uint64(rate)))
	began, sent := time.Now(), 0
	for ctx.Err() == nil {
		for due := int(time.Since(began).Seconds() * float64(rate)); sent < due; sent++ {
			key, value := one(rnd, sent)
			cl.Produce(r.ctx, r.record(name, key, value), nil)
		}
		time.Sleep(time.Millisecond)
	}
	return cl.Flush(r.ctx)
}
