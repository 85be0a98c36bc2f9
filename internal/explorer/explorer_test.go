package explorer

import (
	"os"
	"strconv"
	"testing"
)

// number is what an environment variable says, or else what is given.
func number(t *testing.T, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: expected a whole number, found %q", name, text)
	}
	return n
}

// TestExplore searches every scene within small bounds; `make explore` goes on from
// there.
func TestExplore(t *testing.T) {
	for _, s := range Scenes(true) {
		if testing.Short() || race {
			s.States = 500
		}
		found := Search(s)
		t.Log(found)
		if found.Broken != "" {
			t.Errorf("%s\n%s", found.Broken, Story(s, found.Path))
		}
	}
}

// TestWalk walks through every scene at random, further than a search gets.
// HEADROOM_WALKS says how often, HEADROOM_SEED where to begin.
func TestWalk(t *testing.T) {
	count := 300
	if testing.Short() || race {
		count = 10
	}
	count = number(t, "HEADROOM_WALKS", count)
	seed := number(t, "HEADROOM_SEED", 1)
	admissions := 0
	for _, s := range Scenes(true) {
		walks := Walk(s, uint64(seed), count, 80)
		admissions += walks.Admissions
		t.Log(walks)
		if walks.Broken != "" {
			t.Errorf("%s\n%s", walks.Broken, Story(s, walks.Path))
		}
	}
	if admissions == 0 {
		t.Error("nobody was let through in any walk")
	}
}

// TestNotation reads back what is written.
func TestNotation(t *testing.T) {
	for _, s := range Scenes(true) {
		w := newWorld(&s)
		w.loosen()
		path, _, _ := w.walk(seeded(3), 60)
		text := Write(s, path)
		again, err := Parse(s, text)
		if err != nil || Write(s, again) != text {
			t.Errorf("%s: %v\n%s", s.Name, err, text)
		}
	}
	if _, err := Parse(Scenes(true)[0], "Act leader=0 behind=0\nDance pod=a1"); err == nil || err.Error() != `line 2: expected a kind of move, found "Dance"` {
		t.Errorf("got %v", err)
	}
}

// TestTheSameMovesLeadToTheSameState holds the world to its moves.
func TestTheSameMovesLeadToTheSameState(t *testing.T) {
	for _, s := range Scenes(true) {
		w := newWorld(&s)
		w.loosen()
		path, _, _ := w.walk(seeded(5), 60)
		var hashes [2]uint64
		for i := range hashes {
			state := w.start()
			for _, m := range path {
				next, _, err := w.step(state, m)
				if err != nil {
					t.Fatalf("%s: %s: %v", s.Name, m.Describe(&s), err)
				}
				state = next
			}
			hashes[i] = new(scribe).hash(w, state)
		}
		if hashes[0] != hashes[1] {
			t.Errorf("%s: the same %d moves led to different states", s.Name, len(path))
		}
	}
}
