package process

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// cluster is a cluster of three brokers that a test may stop. Topics have three replicas and need two in
// sync.
type cluster struct {
	t       *testing.T
	brokers string // HOST:PORT,HOST:PORT,HOST:PORT
	dir     string // of .ci/kafka start3
}

// three returns the cluster of $STREAMQL_TEST_KAFKA3, when all its brokers run.
func three(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t, os.Getenv("STREAMQL_TEST_KAFKA3"), os.Getenv("STREAMQL_TEST_KAFKA3_DIR")}
	if c.brokers == "" || c.dir == "" {
		const lacks = "three brokers are required: run .ci/kafka start3 DIR, set STREAMQL_TEST_KAFKA3 to its output and STREAMQL_TEST_KAFKA3_DIR to DIR"
		if os.Getenv("CI") == "true" {
			t.Fatal(lacks)
		}
		t.Skip("left out: " + lacks)
	}
	t.Cleanup(func() { // restores the cluster for the next test, whatever this one does
		for n := 1; n <= 3; n++ {
			if _, err := kafkaScript("resume", c.broker(n)); err == nil {
				continue
			}
			if _, err := kafkaScript("restart", c.broker(n)); err != nil {
				t.Error(err)
			}
		}
	})
	c.whole(time.Minute)
	return c
}

// site returns an application on the cluster.
func (c *cluster) site(t *testing.T) *site { return newSite(t, c.brokers) }

// broker returns the directory of a broker.
func (c *cluster) broker(n int) string { return filepath.Join(c.dir, fmt.Sprint(n)) }

// some returns the number of a random broker.
func (c *cluster) some() int { return 1 + rand.IntN(3) }

// unregister removes the registration of a stopped broker. The broker registers again when it starts.
func (c *cluster) unregister(s *site, n int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	r := kmsg.NewPtrUnregisterBrokerRequest()
	r.BrokerID = int32(n)
	resp, err := r.RequestWith(ctx, s.client())
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		c.t.Fatalf("broker %d cannot be unregistered: %v", n, err)
	}
}

// whole waits until all replicas of all partitions are in sync, so that the next fault meets a healthy
// cluster.
func (c *cluster) whole(limit time.Duration) {
	c.t.Helper()
	s := &site{t: c.t, opts: seeds(c.brokers)}
	adm := kadm.NewClient(s.client())
	var why string
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		why = lacks(ctx, adm)
		cancel()
		if why == "" {
			return
		}
	}
	c.t.Fatalf("the cluster is not whole after %v: %s", limit, why)
}

// lacks returns which of the three brokers and of the replicas are missing.
func lacks(ctx context.Context, adm *kadm.Client) string {
	m, err := adm.Metadata(ctx)
	if err != nil {
		return err.Error()
	}
	if len(m.Brokers) < 3 {
		return fmt.Sprintf("only %d brokers are registered", len(m.Brokers))
	}
	why := ""
	m.Topics.EachPartition(func(p kadm.PartitionDetail) {
		if p.Leader < 0 || len(p.ISR) < len(p.Replicas) {
			why = fmt.Sprintf("%s[%d] has leader %d and %v of %v in sync", p.Topic, p.Partition, p.Leader, p.ISR, p.Replicas)
		}
	})
	return why
}

// lead moves the leadership of a partition to another broker, as .ci/kafka lead does, and waits until it has
// moved.
func (c *cluster) lead(s *site, name string, partition int32) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	adm := kadm.NewClient(s.client())
	at := func() kadm.PartitionDetail {
		list, err := adm.ListTopicsWithInternal(ctx, name)
		if err != nil {
			c.t.Fatal(err)
		}
		return list[name].Partitions[partition]
	}
	before := at()
	copies := slices.Clone(before.Replicas)
	if i := slices.IndexFunc(copies, func(b int32) bool { return b != before.Leader }); i >= 0 {
		copies[0], copies[i] = copies[i], copies[0]
	}
	var order kadm.AlterPartitionAssignmentsReq
	order.Assign(name, partition, copies)
	if r, err := adm.AlterPartitionAssignments(ctx, order); err != nil || r.Error() != nil {
		c.t.Fatalf("the order of the copies of %s cannot be changed: %v %v", name, err, r.Error())
	}
	set := kadm.TopicsSet{}
	set.Add(name, partition)
	for {
		_, err := adm.ElectLeaders(ctx, kadm.ElectPreferredReplica, set)
		if after := at(); err == nil && after.Leader == copies[0] {
			return fmt.Sprintf("the leader of %s[%d] moved from broker %d to %d", strings.TrimPrefix(name, s.name+"."),
				partition, before.Leader, after.Leader)
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("broker %d does not become the leader of %s[%d]: %v", copies[0], name, partition, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
