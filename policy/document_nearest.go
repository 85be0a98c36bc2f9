package policy

import "strings"

// docNearest returns the word of known that key was probably meant to be, ""
// where none is near: at most a third of its letters differ, whatever the case.
func docNearest(key string, known []string) string {
	if len(key) > 64 {
		return ""
	}
	best, bestDistance := "", len(key)/3+1
	for _, word := range known {
		if d := docDistance(strings.ToLower(key), strings.ToLower(word)); d < bestDistance {
			best, bestDistance = word, d
		}
	}
	return best
}

// docDistance is how many letters must be added, left out, replaced or swapped
// with their neighbor to make b of a (optimal string alignment).
func docDistance(a, b string) int {
	before := make([]int, len(b)+1)
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
