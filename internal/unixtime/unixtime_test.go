package unixtime

import "testing"

func TestRead(t *testing.T) {
	for in, want := range map[int64]int64{
		0: 0, -1: -1000, 1: 1000, 1_790_000_000: 1_790_000_000_000, 1_790_000_000_123: 1_790_000_000_123,
		99_999_999_999: 99_999_999_999_000, 100_000_000_000: 100_000_000_000,
	} {
		if got := Read(in).UnixMilli(); got != want {
			t.Errorf("%d is %d ms after 1970, want %d", in, got, want)
		}
	}
}
