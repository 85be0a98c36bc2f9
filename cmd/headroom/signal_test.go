package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	pb "github.com/kedacore/keda/v2/pkg/scalers/externalscaler"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// asHeadroom makes the test binary be headroom itself.
const asHeadroom = "HEADROOM_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asHeadroom) != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestSignalsEndItInGoodOrder(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			directory := t.TempDir()
			for name, text := range map[string]string{
				"policy.yaml": `apiVersion: keda-headroom.github.io/v1alpha1
kind: Policy
metadata: {namespace: shop}
databases: [{name: orders-db, postgresql: {dsn: {env: NO_SUCH_VARIABLE}}}]
`,
				"fleets.json": `{"fleets": {}}`,
			} {
				if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			program, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			c := exec.CommandContext(t.Context(), program, "serve", "--policy", directory+"/policy.yaml", "--fleets", directory+"/fleets.json",
				"--grpc-address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--log-format", "json", "--shutdown-timeout", "1m")
			c.Env = append(os.Environ(), asHeadroom+"=1", "AWS_EC2_METADATA_DISABLED=true")
			c.WaitDelay = time.Minute
			read, write, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = read.Close() }()
			c.Stderr = write
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ended := false
			t.Cleanup(func() {
				if !ended {
					_ = c.Process.Kill()
					_ = c.Wait()
				}
			})
			if err := write.Close(); err != nil {
				t.Fatal(err)
			}
			if err := read.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
				t.Fatal(err)
			}

			var serving struct{ Msg, GRPC, HTTP string }
			lines := bufio.NewScanner(read)
			for serving.Msg != "serving" && lines.Scan() {
				if err := json.Unmarshal(lines.Bytes(), &serving); err != nil {
					t.Fatalf("not a line of JSON: %s", lines.Text())
				}
			}
			if serving.Msg != "serving" || serving.GRPC == "" || serving.HTTP == "" {
				t.Fatalf("it never said where it serves: %v", lines.Err())
			}
			go func() { _, _ = io.Copy(io.Discard, read) }() // ends with the process

			connection, err := grpc.NewClient(serving.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = connection.Close() }()
			stream, err := pb.NewExternalScalerClient(connection).StreamMetricSpec(t.Context(), &pb.ScaledObjectRef{Namespace: "shop", Name: "order-workers"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
			if err := c.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
				t.Errorf("its stream ended with %v, want io.EOF", err)
			}
			err = c.Wait()
			ended = true
			if err != nil {
				t.Errorf("it ended with %v, want exit status 0", err)
			}
		})
	}
}
