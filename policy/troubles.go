package policy

import (
	"fmt"

	"github.com/keda-headroom/headroom/metrics"
)

// troubles are what pods can't help, as CloudWatch's latest points show it.
type troubles struct {
	// deliveries is how often a message is received until it is done, on average; 0
	// where nothing tells.
	deliveries float64
	// lost is the share of the messages sent that left the queue without being deleted.
	lost float64
}

// Below these nobody needs to hear of it.
const (
	troubleDeliveries = 1.2
	troubleLost       = 0.05
	troubleMessages   = 5.0 // fewer prove nothing
)

// troubles looks at every minute that CloudWatch has published and readings covered.
func (f *Flow) troubles(points metrics.Points) troubles {
	var sent, received, deleted, done, grown float64
	for i := 0; i+1 < len(f.Minutes); i++ {
		m := f.Minutes[i]
		p := minuteOf(points, m.Start)
		if p == nil {
			continue
		}
		s, r, d := finite(p.Sent), finite(p.Received), finite(p.Deleted)
		if s == nil || r == nil || d == nil || m.Covered < 0.9*flowMinute.Seconds() {
			continue
		}
		more := f.Minutes[i+1].Left - m.Left
		sent, received, deleted, grown = sent+*s, received+*r, deleted+*d, grown+more
		done += max(0, min(*d, *s-more))
	}
	var out troubles
	if done >= troubleMessages {
		out.deliveries = received / done
	}
	if lost := sent - grown - deleted; lost >= troubleMessages && lost >= troubleLost*sent {
		out.lost = lost / sent
	}
	return out
}

// describe says what there is of them, in words that follow others.
func (t troubles) describe() string {
	text := ""
	if t.deliveries > troubleDeliveries {
		text += fmt.Sprintf("; a message is received %s times until it is done: work fails, or takes longer than the visibility timeout", short(t.deliveries))
	}
	if t.lost > 0 {
		text += fmt.Sprintf("; %s %% of the messages leave without being done, to a dead-letter queue or by their retention", short(100*t.lost))
	}
	return text
}
