// Command worker is the program in the containers of workers: see package
// e2e/worker.
package main

import (
	"fmt"
	"os"

	"github.com/keda-headroom/headroom/e2e/worker"
)

func main() {
	if err := worker.Main(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
