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
	search := flag.Bool("search", false, "try everything, the shortest paths first")
	walks := flag.Int("walks", 0, "take so many random walks")
	length := flag.Int("length", 80, "moves of each walk")
	first := flag.Uint64("seed", 1, "of the first walk")
	small := flag.Bool("small", false, "within the bounds of the tests")
	flag.Parse()

	found, broken := false, false
	show := func(s explorer.Scene, outcome fmt.Stringer, path []explorer.Move) {
		fmt.Println(outcome)
		if path != nil {
			broken = true
			fmt.Print(explorer.Story(s, path))
		}
	}
	for _, s := range explorer.Scenes(*small) {
		if *scene != "" && s.Name != *scene {
			continue
		}
		found = true
		fmt.Printf("%s: %s\n", s.Name, s.About)
		if *search {
			outcome := explorer.Search(s)
			show(s, outcome, outcome.Path)
		}
		if *walks > 0 {
			outcome := explorer.Walk(s, *first, *walks, *length)
			show(s, outcome, outcome.Path)
		}
	}
	switch {
	case !found:
		fmt.Fprintf(os.Stderr, "expected a scene, found %q\n", *scene)
		os.Exit(2)
	case broken:
		os.Exit(1)
	}
}
