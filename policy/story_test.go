package policy

import "testing"

// TestLifeInModeTarget follows one fleet through a day at high speed.
func TestLifeInModeTarget(t *testing.T) {
	c := newCluster(t, 40, 8, `
apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop}
databases:
- name: orders-db
  postgresql: {dsn: {env: ORDERS_DSN}}
  reserve: 10%
  othersWindow: 1m
workloads:
- name: order-workers
  mode: Target
  databaseRefs: [{name: orders-db, user: worker, connectionsPerPod: 5}]
  sqs: {queueName: orders, messagesPerPod: 20}
  minReplicas: 1
  scaleDownStabilization: 20s
`)
	workers := c.fleet("order-workers")
	workers.spec = 1

	// Headroom starts without a memory, and a burst is waiting already. How much
	// the other application needs at its busiest nobody knows yet: for one
	// window nothing is promised beyond what is there.
	workers.messages = 90
	c.pass(30)
	c.expect("order-workers", 1, Starting)
	c.pass(30)
	c.expect("order-workers", 1, Starting)
	workers.messages = 0

	// A minute has passed, and it is quiet: the minimum.
	c.pass(30)
	c.expect("order-workers", 1, MinReplicas)

	// A burst. 70 messages at 20 per pod ask for 4 pods, which fit: of 40
	// connections 4 are reserved and 8 are the other application's, which leaves
	// 28, or 5 pods. One decision is enough.
	workers.messages = 70
	c.pass(1)
	c.expect("order-workers", 4, Demand)

	// A larger one. 20 pods would need 100 connections; 5 can be had.
	workers.messages = 400
	c.pass(1)
	c.expect("order-workers", 5, ConnectionBudget)
	c.pass(10)
	c.expect("order-workers", 5, ConnectionBudget)
	if got := workers.running(); got != 5 {
		t.Errorf("%d pods run, want 5", got)
	}

	// The other application spikes to 18. 40 − 4 − 18 = 18 carry 3 pods, and two
	// have to go at once.
	c.others = 18
	c.pass(1)
	c.expect("order-workers", 3, ConnectionBudget)
	c.pass(5)
	if got := workers.running(); got != 3 {
		t.Errorf("%d pods run, want 3", got)
	}

	// Its spike is over in seconds, but one may follow another: the most that it
	// needed stays free for a window.
	c.others = 8
	c.pass(50)
	c.expect("order-workers", 3, ConnectionBudget)
	c.pass(15)
	c.expect("order-workers", 5, ConnectionBudget)

	// The queue drains. A fall is followed late, lest the next burst find
	// nobody…
	c.pass(5)
	workers.messages = 30
	c.pass(15)
	c.expect("order-workers", 5, ScaleDownStabilization)
	// … and then it is followed, to what the queue asks for, to the minimum.
	c.pass(10)
	c.expect("order-workers", 2, Demand)
	workers.messages = 0
	c.pass(25)
	c.expect("order-workers", 1, MinReplicas)

	// The database can't be reached. For some seconds the last reading is good
	// enough; a burst that comes then is followed.
	c.away = true
	c.pass(5)
	workers.messages = 50
	c.pass(1)
	c.expect("order-workers", 3, Demand)
	// Once that reading is too old nobody scales out, whatever the queue says; and
	// nobody has to go.
	c.pass(10)
	workers.messages = 400
	c.pass(30)
	c.expect("order-workers", 3, DatabaseUnknown)
	if got := workers.running(); got != 3 {
		t.Errorf("%d pods run, want 3", got)
	}

	// It is back, and so is the burst's due, with the first reading.
	c.away = false
	c.pass(1)
	c.expect("order-workers", 5, ConnectionBudget)

	// In all this time there was no moment without the reserve, but for the
	// second in which the other application took what was free.
	if want := 18 + 5*5; c.most != want {
		t.Errorf("up to %d connections were open, want %d, when the spike met five pods", c.most, want)
	}
}

// TestLifeInModeGate follows two fleets that share a database, whose pods pass
// the gate.
func TestLifeInModeGate(t *testing.T) {
	c := newCluster(t, 50, 10, `
apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop}
databases:
- name: orders-db
  postgresql: {dsn: {env: ORDERS_DSN}}
  reserve: 4
  othersWindow: 30s
workloads:
- name: invoices
  mode: Gate
  databaseRefs: [{name: orders-db, user: invoices, connectionsPerPod: 4}]
  sqs: {queueName: invoices, messagesPerPod: 10}
  scaleDownStabilization: 0s
- name: orders
  mode: Gate
  priority: 10
  databaseRefs: [{name: orders-db, user: orders, connectionsPerPod: 4}]
  sqs: {queueName: orders, messagesPerPod: 10}
  scaleDownStabilization: 0s
`)
	invoices, orders := c.fleet("invoices"), c.fleet("orders")

	// Nothing to do, nobody there. Meanwhile others are watched.
	c.pass(40)
	c.expect("orders", 0, Demand)

	// A burst of invoices alone: 50 − 4 − 10 = 36 carry 9 pods, and they get all
	// of it. KEDA activates, pods are created, and pass the gate.
	invoices.messages = 300
	c.pass(10)
	c.expect("invoices", 9, ConnectionBudget)
	if got := invoices.running(); got != 9 {
		t.Errorf("%d pods of invoices run, want 9", got)
	}

	// Now orders come, more important, with nothing free. Their pods wait at the
	// gate until pods of the invoices have left and a reading shows it; then all
	// is theirs but for the first pod of whoever has work.
	orders.messages = 300
	c.pass(1)
	c.expect("invoices", 1, FairShare)
	c.expect("orders", 0, FairShare)
	c.pass(9)
	c.expect("orders", 8, FairShare)
	c.expect("invoices", 1, FairShare)
	if orders.running() != 8 || invoices.running() != 1 {
		t.Errorf("%d pods of orders and %d of invoices run, want 8 and 1", orders.running(), invoices.running())
	}
	if c.most != 46 {
		t.Errorf("up to %d connections were open, want 46: all but the reserve", c.most)
	}

	// A node dies: a pod is gone from the API, its connections are not. Its
	// replacement waits at the gate for as long as the server keeps them.
	c.vanish(orders)
	c.pass(20)
	if got := orders.running(); got != 7 {
		t.Errorf("%d pods of orders run beside a ghost, want 7", got)
	}
	if got := c.plan.Databases[0].Constraints[0].Ghosts; got != 4 {
		t.Errorf("%d connections are ghosts, want 4", got)
	}
	orders.orphans = nil
	c.pass(5)
	if got := orders.running(); got != 8 {
		t.Errorf("%d pods of orders run after the ghost went, want 8", got)
	}

	// The other application spikes into the reserve: 50 − 4 − 14 = 32 carry 8
	// pods, one too many runs.
	c.others = 14
	c.pass(8)
	c.expect("orders", 7, FairShare)

	// The database can't be read, and a pod of orders ends. It may be replaced,
	// one for one, and no other pod starts.
	c.pass(3)
	c.away = true
	c.pass(15)
	c.expect("orders", 7, DatabaseUnknown)
	orders.pods[0].Finished = true
	c.end(orders.pods[0])
	c.pass(10)
	if orders.running() != 7 || invoices.running() != 1 {
		t.Errorf("%d pods of orders and %d of invoices run, want 7 and 1", orders.running(), invoices.running())
	}

	// It recovers, the spike is over, and after a window forgotten.
	c.away, c.others = false, 10
	c.pass(45)
	c.expect("orders", 8, FairShare)

	// The orders are done. What they held is free for the invoices at once, down
	// to the last slot.
	orders.messages = 0
	c.pass(10)
	c.expect("orders", 0, Demand)
	c.expect("invoices", 9, ConnectionBudget)
	if orders.running() != 0 || invoices.running() != 9 {
		t.Errorf("%d pods of orders and %d of invoices run, want 0 and 9", orders.running(), invoices.running())
	}
	if c.most != 50 {
		t.Errorf("up to %d connections were open, want 50: the spike met pods that filled the budget", c.most)
	}
}
