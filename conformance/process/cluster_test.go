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

// cluster is three brokers that a test may stop. Topics have three copies, of which two must be in sync.
type cluster struct {
	t       *testing.T
	brokers string // HOST:PORT,HOST:PORT,HOST:PORT
	dir     string // of .ci/kafka start3
}

// three is the cluster of $STREAMQL_TEST_KAFKA3, whole.
func three(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t, os.Getenv("STREAMQL_TEST_KAFKA3"), os.Getenv("STREAMQL_TEST_KAFKA3_DIR")}
	if c.brokers == "" || c.dir == "" {
		const lacks = "three brokers are wanted: .ci/kafka start3 DIR, STREAMQL_TEST_KAFKA3=what it prints and STREAMQL_TEST_KAFKA3_DIR=DIR"
		if os.Getenv("CI") == "true" {
			t.Fatal(lacks)
		}
		t.Skip("left out: " + lacks)
	}
	t.Cleanup(func() { // for the next test, whatever this one has done
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

// site is an application on the cluster.
func (c *cluster) site(t *testing.T) *site { return newSite(t, c.brokers) }

// broker is the directory of one.
func (c *cluster) broker(n int) string { return filepath.Join(c.dir, fmt.Sprint(n)) }

// some is the number of a broker, at random.
func (c *cluster) some() int { return 1 + rand.IntN(3) }

// unregister makes the cluster forget a broker that is away; it is known again when it comes back.
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

// whole waits until all partitions have all copies in sync: the next blow meets a sound cluster.
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

// lacks says what a cluster lacks of three brokers and all copies.
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

// lead moves the leader of a partition to another broker, as .ci/kafka lead does, and sees it there.
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
			return fmt.Sprintf("the leader of %s[%d] moved from broker %d to %d", strings.TrimPrefix(name, s.name+"."), partition, before.Leader, after.Leader)
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("broker %d does not come to lead %s[%d]: %v", copies[0], name, partition, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
