package explorer

import "testing"

func TestSmall(t *testing.T) {
	for _, s := range Scenes(true) {
		f := Search(s)
		t.Log(f)
		if f.Broken != "" {
			t.Error(Story(s, f.Path))
		}
	}
}
