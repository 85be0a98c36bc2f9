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
	walks := flag.Int("walks", 0, "take so many random walks instead of searching")
	length := flag.Int("length", 80, "of each walk")
	first := flag.Uint64("seed", 1, "of the first walk")
	small := flag.Bool("small", false, "within the bounds of the tests")
	flag.Parse()
	broken := false
	for _, s := range explorer.Scenes(*small) {
		if *scene != "" && s.Name != *scene {
			continue
		}
		if *walks > 0 {
			w := explorer.Walk(s, *first, *walks, *length)
			fmt.Printf("%s: %d walks, %d moves, %d admissions in %s\n", w.Scene, w.Count, w.Moves, w.Admissions, w.Took)
			if w.Broken != "" {
				broken = true
				fmt.Println(w.Broken)
				fmt.Print(explorer.Story(s, w.Path))
			}
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
