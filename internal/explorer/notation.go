package explorer

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/keda-headroom/headroom/scaler/gate"
)

// Write returns a path as text, a line for each move.
func Write(s Scene, path []Move) string {
	var b strings.Builder
	for _, m := range path {
		b.WriteString(m.Kind.String())
		switch m.Kind {
		case Read, Crash, Learn:
			fmt.Fprintf(&b, " leader=%d", m.Leader)
		case Act, ActNew, Acquire:
			fmt.Fprintf(&b, " leader=%d behind=%d", m.Leader, m.Behind)
		case Land:
			fmt.Fprintf(&b, " write=%s pod=%s term=%d nth=%d", m.Write, s.podName(int(m.Pod)), m.Term, m.Nth)
		case Edit, Spike, Calm, Jump:
		default:
			fmt.Fprintf(&b, " pod=%s", s.podName(int(m.Pod)))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Parse reads what [Write] writes. Lines that are empty or begin with # say
// nothing.
func Parse(s Scene, text string) ([]Move, error) {
	var path []Move
	for n, line := range strings.Split(text, "\n") {
		words := strings.Fields(line)
		if len(words) == 0 || words[0][0] == '#' {
			continue
		}
		m, err := parseMove(s, words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n+1, err)
		}
		path = append(path, m)
	}
	return path, nil
}

func parseMove(s Scene, words []string) (Move, error) {
	m := Move{Kind: moveKinds}
	for k := range moveKinds {
		if k.String() == words[0] {
			m.Kind = k
		}
	}
	if m.Kind == moveKinds {
		return m, fmt.Errorf("expected a kind of move, found %q", words[0])
	}
	for _, word := range words[1:] {
		key, value, _ := strings.Cut(word, "=")
		switch key {
		case "write":
			m.Write = gate.Kind(value)
			continue
		case "pod":
			found := false
			for i := range s.Pods {
				if s.podName(i) == value {
					m.Pod, found = uint8(i), true
				}
			}
			if !found {
				return m, fmt.Errorf("expected a pod of the scene, found %q", value)
			}
			continue
		}
		number, err := strconv.ParseUint(value, 10, 8)
		if err != nil {
			return m, fmt.Errorf("expected a small number behind %s, found %q", key, value)
		}
		switch key {
		case "leader":
			m.Leader = uint8(number)
		case "behind":
			m.Behind = uint8(number)
		case "term":
			m.Term = uint8(number)
		case "nth":
			m.Nth = uint8(number)
		default:
			return m, fmt.Errorf("expected leader, behind, write, pod, term or nth, found %q", key)
		}
	}
	if m.Leader >= leaders {
		return m, fmt.Errorf("expected one of %d leaders, found number %d", leaders, m.Leader)
	}
	return m, nil
}
