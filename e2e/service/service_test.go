package service

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/keda-headroom/headroom/internal/steadyport"
)

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited a minute for %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// server is a pod's program: it says who it is, and then repeats what it hears.
func server(t *testing.T, ip string) (port int32) {
	t.Helper()
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				_, _ = fmt.Fprintln(conn, ip)
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return int32(l.Addr().(*net.TCPAddr).Port)
}

func pod(name, ip string, port int32, ready corev1.ConditionStatus) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name), Labels: map[string]string{"app": "x", "leader": "true"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "grpc", ContainerPort: port}}}}},
		Status:     corev1.PodStatus{PodIP: ip, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}},
	}
}

// call says who answers.
func call(t *testing.T, address string) (net.Conn, string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, "", err
	}
	t.Cleanup(func() { _ = conn.Close() })
	line, err := bufio.NewReader(conn).ReadString('\n')
	return conn, line, err
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := steadyport.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestForwardsToReadyPods(t *testing.T) {
	client := fake.NewClientset(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "svc"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "x", "leader": "true"},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(1)}, {Port: 6000, TargetPort: intstr.FromString("grpc")}},
		},
	})
	s, err := Listen(t.Context(), client, "ns", "svc", 6000, freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, _, err := call(t, s.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after Close: %v, want a refused connection", err)
		}
	}()
	if _, _, err := call(t, s.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("no pod: %v, want a refused connection", err)
	}

	one, two := pod("one", "127.98.0.1", server(t, "127.98.0.1"), corev1.ConditionTrue), pod("two", "127.98.0.2", server(t, "127.98.0.2"), corev1.ConditionFalse)
	create(t, client, one)
	create(t, client, two)
	eventually(t, "one target", func() bool { return s.Targets() == 1 })
	for range 3 {
		if _, who, err := call(t, s.Address()); err != nil || who != "127.98.0.1\n" {
			t.Errorf("%q answers, %v: want the ready one", who, err)
		}
	}
	two.Status.Conditions[0].Status = corev1.ConditionTrue
	update(t, client, two)
	eventually(t, "two targets", func() bool { return s.Targets() == 2 })
	kept, found := map[string]net.Conn{}, map[string]int{}
	for range 4 {
		conn, who, err := call(t, s.Address())
		if err != nil {
			t.Fatal(err)
		}
		kept[who] = conn
		found[who]++
	}
	if found["127.98.0.1\n"] != 2 || found["127.98.0.2\n"] != 2 {
		t.Errorf("of 4 connections: %v, want 2 and 2", found)
	}

	// What was begun goes on when the leader changes, and ends with its pod.
	one = one.DeepCopy()
	one.Labels["leader"] = "false"
	update(t, client, one)
	eventually(t, "one target", func() bool { return s.Targets() == 1 })
	old := kept["127.98.0.1\n"]
	if _, err := old.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(old, make([]byte, 5)); err != nil {
		t.Errorf("a connection to a pod that is only no target any more: %v", err)
	}
	if err := client.CoreV1().Pods("ns").Delete(t.Context(), "one", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("its pod is gone: %v, want a reset", err)
	}
	now := metav1.Now()
	two = two.DeepCopy()
	two.DeletionTimestamp = &now
	update(t, client, two)
	eventually(t, "no target", func() bool { return s.Targets() == 0 })
	if _, _, err := call(t, s.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the last is terminating: %v, want a refused connection", err)
	}
}

func create(t *testing.T, client kubernetes.Interface, p *corev1.Pod) {
	t.Helper()
	if _, err := client.CoreV1().Pods("ns").Create(t.Context(), p, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func update(t *testing.T, client kubernetes.Interface, p *corev1.Pod) {
	t.Helper()
	if _, err := client.CoreV1().Pods("ns").Update(context.Background(), p.DeepCopy(), metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}
