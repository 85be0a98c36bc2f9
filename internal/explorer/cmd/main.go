// Command cmd explores every scene and prints what it came to.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/keda-headroom/headroom/internal/explorer"
)

func main() {
	scene := flag.String("scene", "", "explore only this one")
	small := flag.Bool("small", false, "within the bounds of the tests")
	flag.Parse()
	broken := false
	for _, s := range explorer.Scenes(*small) {
		if *scene != "" && s.Name != *scene {
			continue
		}
		found := explorer.Search(s)
		fmt.Println(found)
		if found.Broken != "" {
			broken = true
			fmt.Print(explorer.Story(s, found.Path))
		}
	}
	if broken {
		os.Exit(1)
	}
}
