package clairvoyant

import "time"

// Spend is a lower bound of the pod time in which all of these messages are done in
// time and all others at some time, when peak pods are needed at once.
func (p Problem) Spend(reach []bool, peak int) time.Duration {
	work := time.Duration(0)
	for _, m := range p.Messages {
		work += m.Takes
	}
	slots := time.Duration(p.Slots)
	working := max(
		time.Duration(p.MinReplicas)*p.Length+p.excess(reach)/slots,
		work/slots,
	)
	return working + time.Duration(max(0, peak-p.MinReplicas))*p.StartUp
}

// excess is the least work that the pods that run anyhow leave undone at its
// deadline.
func (p Problem) excess(reach []bool) (sum time.Duration) {
	rate := float64(p.MinReplicas * p.Slots)
	var waiting []piece // by deadline
	now, head := 0.0, 0
	until := func(end float64) {
		for head < len(waiting) && (now < end || waiting[head].deadline <= now) {
			w := &waiting[head]
			stop := min(end, w.deadline)
			if done := rate * (stop - now); done < w.left {
				w.left -= done
				now = stop
			} else {
				now += w.left / rate
				head++
				continue
			}
			if now >= w.deadline {
				sum += time.Duration(w.left)
				head++
			}
		}
		if head == len(waiting) {
			waiting, head = waiting[:0], 0
		}
		now = max(now, end)
	}
	for i, m := range p.Messages {
		if !reach[i] {
			continue
		}
		until(float64(m.At))
		waiting = append(waiting, piece{float64(m.At + p.Objective), float64(m.Takes)})
	}
	for head < len(waiting) {
		until(waiting[len(waiting)-1].deadline)
	}
	return sum
}

// piece is work that has to be done by its deadline.
type piece struct{ deadline, left float64 }
