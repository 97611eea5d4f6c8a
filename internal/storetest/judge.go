package storetest

import (
	"fmt"
	"strings"
)

// verdict is the result of checking a journal.
type verdict struct {
	wrong  []string
	acked  map[string]bool
	starts int // of handlers
	cut    int // handlers whose process was killed while they ran
	again  int // handlers that had ended and were run again, their process having been killed
	alive  int // handlers that had ended and were run again, their process not having been killed
}

// judge checks a journal: no delivery may be handled by two workers at a time,
// acknowledged before it was handled, or handled after it was acknowledged.
func judge(text string) verdict {
	type state struct {
		running, ended string // the worker whose handler runs, or ended
	}
	v := verdict{acked: make(map[string]bool)}
	killed := make(map[string]bool)
	states := make(map[string]*state)
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			v.wrong = append(v.wrong, fmt.Sprintf("line %d is %q", n+1, line))
			continue
		}
		what, id, worker := fields[0], fields[1], fields[2]
		wrong := func(format string, args ...any) {
			v.wrong = append(v.wrong, fmt.Sprintf("line %d: %s: %s", n+1, line, fmt.Sprintf(format, args...)))
		}
		s := states[id]
		if s == nil {
			s = &state{}
			states[id] = s
		}
		switch what {
		case "kill":
			killed[worker] = true
		case "start":
			v.starts++
			if s.running != "" && !killed[s.running] {
				wrong("worker %s is handling it", s.running)
			}
			if s.running != "" {
				v.cut++
			}
			if v.acked[id] {
				wrong("it was acknowledged before")
			}
			if s.ended != "" {
				if killed[s.ended] {
					v.again++
				} else {
					v.alive++
				}
			}
			s.running, s.ended = worker, ""
		case "end", "fail":
			if s.running != worker {
				wrong("%q is handling it", s.running)
			}
			s.running = ""
			if what == "end" {
				s.ended = worker
			}
		case "ack":
			v.acked[id] = true
			if s.ended == "" {
				wrong("it has not been handled")
			}
		default:
			wrong("unknown")
		}
	}
	return v
}
