package weburl

import (
	"math/bits"
	"net/url"
	"strings"
)

// Difference is a set of differences between two origins.
type Difference uint32

// What differs.
const (
	DiffersInScheme Difference = 1 << iota
	DiffersInWWW               // one host begins with www. and the other does not
	DiffersInPort
	DiffersInHost
	DiffersInForm // it is not an origin, or the same in another spelling
)

var differenceNames = []string{"scheme", "www.", "port", "host", "form"}

// String names the differences.
func (d Difference) String() string {
	var names []string
	for i, name := range differenceNames {
		if d&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Differ returns how origin, which is none of the known ones, differs from the one that
// is most like it.
func Differ(origin string, known []string) Difference {
	u, err := url.Parse(origin)
	if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host {
		return DiffersInForm
	}
	least := DiffersInHost
	for _, text := range known {
		k, err := url.Parse(text)
		if err != nil {
			continue
		}
		var d Difference
		if host, own := k.Hostname(), u.Hostname(); host != own {
			if strings.TrimPrefix(host, "www.") != strings.TrimPrefix(own, "www.") {
				continue
			}
			d |= DiffersInWWW
		}
		if k.Scheme != u.Scheme {
			d |= DiffersInScheme
		}
		if k.Port() != u.Port() {
			d |= DiffersInPort
		}
		if least == DiffersInHost || bits.OnesCount32(uint32(d)) < bits.OnesCount32(uint32(least)) {
			least = d
		}
	}
	if least == 0 {
		return DiffersInForm
	}
	return least
}
