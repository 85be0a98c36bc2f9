package metrics

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestParseID(t *testing.T) {
	got, err := ParseID("shop/order-workers")
	if want := (ID{Namespace: "shop", Name: "order-workers"}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if got.String() != "shop/order-workers" {
		t.Errorf("String() = %q", got)
	}
	for _, bad := range []string{"", "/", "shop", "shop/", "/order-workers", "shop/a/b", "shop//a"} {
		got, err := ParseID(bad)
		if err == nil {
			t.Errorf("%q was accepted as %+v", bad, got)
			continue
		}
		if !strings.Contains(err.Error(), "expected NAMESPACE/NAME") {
			t.Errorf("%q: %v, want an error that says what is expected", bad, err)
		}
	}
}

func TestIDsAreOrderedByNamespaceThenName(t *testing.T) {
	// "a-b/x" sorts before "a/y" as text ('-' comes before '/'); as an ID it comes after.
	ordered := []ID{{}, {"a", ""}, {"a", "x"}, {"a", "y"}, {"a-b", "a"}, {"b", "a"}}
	shuffled := slices.Clone(ordered)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, ID.Compare)
	if !slices.Equal(shuffled, ordered) {
		t.Errorf("sorted %v, want %v", shuffled, ordered)
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if got := a.Less(b); got != (i < j) {
				t.Errorf("(%v).Less(%v) = %v", a, b, got)
			}
			if got := a.Compare(b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("(%v).Compare(%v) = %d", a, b, got)
			}
		}
	}
}

func TestIDsAreKeysInJSON(t *testing.T) {
	give := map[ID]int{{"shop", "orders"}: 1, {"billing", "invoices"}: 2}
	text, err := json.Marshal(give)
	if want := `{"billing/invoices":2,"shop/orders":1}`; err != nil || string(text) != want {
		t.Fatalf("got %s, %v; want %s", text, err, want)
	}
	var back map[ID]int
	if err := json.Unmarshal(text, &back); err != nil || !maps.Equal(back, give) {
		t.Errorf("got %v, %v; want %v", back, err, give)
	}
	if err := json.Unmarshal([]byte(`{"orders":1}`), &back); err == nil {
		t.Error("a key without a namespace was accepted")
	}
}

// FuzzParseID holds that whatever is accepted is written as it was read.
func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"a/b", "", "/", "a/", "/b", "a/b/c", "é/ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		id, err := ParseID(text)
		if err != nil {
			return
		}
		if id.String() != text || id.Namespace == "" || id.Name == "" {
			t.Fatalf("%q was read as %+v", text, id)
		}
		var back ID
		if err := back.UnmarshalText([]byte(text)); err != nil || back != id {
			t.Fatalf("UnmarshalText(%q) = %+v, %v; want %+v", text, back, err, id)
		}
	})
}
