package explorer

import (
	"fmt"
	"strings"

	"github.com/keda-headroom/headroom/policy"
)

// Replay plays a path from the start of a scene. It returns what was broken, ""
// if nothing, and an error where a move can't be made.
func Replay(scene Scene, path []Move) (string, error) {
	w := newWorld(&scene)
	w.loosen()
	s := w.start()
	for i, m := range path {
		next, problem, err := w.step(s, m)
		if err != nil {
			return "", fmt.Errorf("move %d, %s: %w", i+1, m.Describe(&scene), err)
		}
		if problem != "" {
			return problem, nil
		}
		s = next
	}
	return w.calm(s), nil
}

// step makes one move, if it can be made.
func (w *world) step(s *state, m Move) (*state, string, error) {
	possible := false
	for _, other := range w.moves(s, nil) {
		possible = possible || other == m
	}
	if !possible {
		return nil, "", fmt.Errorf("it can't be made here")
	}
	next, problem := w.play(s, m)
	if next == nil {
		return nil, "", fmt.Errorf("it changes nothing here")
	}
	w.tidy(next)
	return next, problem, nil
}

// Story tells a path to a person: each move, and what it changed.
func Story(scene Scene, path []Move) string {
	w := newWorld(&scene)
	w.loosen()
	s := w.start()
	var b strings.Builder
	fmt.Fprintf(&b, "scene %s: limit %d, reserve %d\n", scene.Name, scene.Limit, scene.Reserve)
	fmt.Fprintf(&b, "%3d. %-40s %s\n", 0, "", w.picture(s))
	for i, m := range path {
		next, problem, err := w.step(s, m)
		if err != nil {
			fmt.Fprintf(&b, "%3d. %s: %v\n", i+1, m.Describe(&scene), err)
			break
		}
		fmt.Fprintf(&b, "%3d. %-40s %s\n", i+1, m.Describe(&scene), w.picture(next))
		if m.Kind == Act || m.Kind == ActNew {
			w.explain(&b, s, m)
		}
		if problem != "" {
			fmt.Fprintf(&b, "     BROKEN: %s\n", problem)
			return b.String()
		}
		s = next
	}
	if end, problem := w.settle(s); problem != "" {
		fmt.Fprintf(&b, "     BROKEN once everything is calm: %s\n     %s\n", problem, w.picture(end))
		l := end.holder
		w.explain(&b, end, Move{Kind: Act, Leader: l, Behind: end.leaders[l].behind})
	}
	return b.String()
}

// picture draws a state in a line.
func (w *world) picture(s *state) string {
	var b strings.Builder
	for i := range w.scene.Pods {
		p := &s.pods[i]
		if !p.born {
			continue
		}
		fmt.Fprintf(&b, "%s[", w.scene.podName(i))
		switch {
		case !p.present:
			b.WriteString("gone")
		case p.gated:
			fmt.Fprintf(&b, "gated %s %s", versionText(p.version), epochText(p.epoch, p.mark))
		default:
			fmt.Fprintf(&b, "passed %s grant %d", versionText(p.version), p.grant)
		}
		if p.terminating {
			b.WriteString(" terminating")
		}
		if p.conns > 0 {
			fmt.Fprintf(&b, " holds %d", p.conns)
		}
		b.WriteString("] ")
	}
	fmt.Fprintf(&b, "others %d", s.others)
	for l := range s.leaders {
		if p := &s.leaders[l]; p.term > 0 {
			fmt.Fprintf(&b, " | leader %d: term %d", l, p.term)
			if !p.believes {
				b.WriteString(" over")
			}
			if p.behind > 0 {
				fmt.Fprintf(&b, ", %d behind", p.behind)
			}
		}
	}
	for _, m := range s.network {
		fmt.Fprintf(&b, " | %s %s of term %d", w.decider.library.kind(m.request), w.scene.podName(int(m.pod)), m.term)
	}
	return b.String()
}

// explain tells what a leader knew, and what it planned.
func (w *world) explain(b *strings.Builder, s *state, m Move) {
	at := *s
	p := &at.leaders[m.Leader]
	p.behind = m.Behind
	if m.Kind == ActNew {
		p.reading = p.flying
	}
	q := at.question(m.Leader)
	d := w.decider.decide(q)
	if !q.reading.known {
		b.WriteString("       it knows no reading\n")
	}
	for _, db := range d.plan.Databases {
		if db.Unknown != "" || db.Starting != "" {
			fmt.Fprintf(b, "       %s: %s%s\n", db.ID, db.Unknown, db.Starting)
		}
		for _, c := range db.Constraints {
			fmt.Fprintf(b, "       %s: used %d, others %d (high %d), ghosts %d, granted %d, departed %d: free %d\n", db.ID, c.Used, c.Others, c.OthersHighWater, c.Ghosts, c.Granted, c.Departed, c.Free)
		}
	}
	for _, wl := range d.plan.Workloads {
		fmt.Fprintf(b, "       %s: share %d, ceiling %d, target %d, %s: %s\n", wl.ID, wl.Share, wl.Ceiling, wl.Target, wl.Reason, wl.Sentence)
		explainWorkload(b, wl)
	}
}

func explainWorkload(b *strings.Builder, wl policy.WorkloadPlan) {
	var parts []string
	for _, x := range wl.Stamps {
		parts = append(parts, "stamp "+x.Name+" with "+x.Epoch)
	}
	for _, x := range wl.Admissions {
		parts = append(parts, fmt.Sprintf("admit %s at %s with %v", x.Name, x.Version, x.Grant))
	}
	for _, x := range wl.Evictions {
		parts = append(parts, fmt.Sprintf("evict %s (%s)", x.Name, x.Reason))
	}
	if len(parts) > 0 {
		fmt.Fprintf(b, "       %s: %s\n", wl.ID, strings.Join(parts, "; "))
	}
}
