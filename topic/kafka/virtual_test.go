//go:build synctests

package kafka

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamql/streamql/topic"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// gate is a network that can be closed, which breaks all connections.
type gate struct {
	dial  func(context.Context, string, string) (net.Conn, error)
	mu    sync.Mutex
	shut  bool
	conns []net.Conn
}

func (g *gate) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut {
		return nil, errors.New("the gate is shut")
	}
	conn, err := g.dial(ctx, network, address)
	if err == nil {
		g.conns = append(g.conns, conn)
	}
	return conn, err
}

func (g *gate) set(shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shut = shut
	for _, c := range g.conns {
		c.Close()
	}
	g.conns = nil
}

// TestVirtualTime runs in virtual time: leaders move every 200 ms while transactions are
// written, and the reader's network is down for a minute. The reader only waits, and sees every
// committed row once, in order.
func TestVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var network kfake.VirtualNetwork
		fake, err := kfake.NewCluster(
			kfake.NumBrokers(3),
			kfake.Ports(9092, 9093, 9094),
			kfake.ListenFn(network.Listen),
		)
		if err != nil {
			t.Fatal(err)
		}
		defer fake.Close()
		g := &gate{dial: network.DialContext}
		var brokers [2]*Broker // the second connects through the gate
		for i, dial := range []func(context.Context, string, string) (net.Conn, error){network.DialContext, g.Dial} {
			if brokers[i], err = Open(t.Context(), Config{Brokers: fake.ListenAddrs(), Dial: dial}); err != nil {
				t.Fatal(err)
			}
			defer brokers[i].Close()
		}
		b := brokers[1]
		c := &cluster{Broker: brokers[0], t: t, fake: fake}
		p := topic.Partition{Topic: c.topic(1, false)}
		r, err := b.Open(t.Context(), []topic.Span{whole(p, 1000)})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		cl, err := kgo.NewClient(
			brokers[0].options(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID("w"),
				kgo.ProducerBatchCompression(kgo.NoCompression()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			for n := 0; ; n++ {
				select {
				case <-time.After(200 * time.Millisecond):
				case <-stop:
					return
				}
				fake.ShufflePartitionLeaders()
				switch n {
				case 100:
					g.set(true)
				case 400:
					g.set(false)
				}
			}
		}()
		go func() {
			for n := range 200 {
				// including the marker: five offsets
				transaction(t, cl, p, 4*n, 4*n+4, kgo.TransactionEndTry(n%4 != 3))
				time.Sleep(300 * time.Millisecond)
			}
		}()
		f := newFollow(t, []topic.Span{whole(p, 1000)})
		for {
			fetches, err := r.Poll(t.Context())
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			f.take(fetches)
		}
		var want []string
		for n := range 200 {
			if n%4 != 3 {
				want = append(want, numbers(4*n, 4*n+4)...)
			}
		}
		same(t, values(f.rows), want)
	})
}
