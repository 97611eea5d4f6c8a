package plain

import (
	"fmt"
	"runtime"
	"strings"
)

// Panic returns an error that says where a panic occurred and the type of v, but
// not v itself, which may quote a payload.
func Panic(v any) *Error {
	where := "an unknown place"
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers)])
	for panicking := false; ; {
		f, more := frames.Next()
		switch {
		case f.Function == "runtime.gopanic":
			panicking = true
		case panicking && !strings.HasPrefix(f.Function, "runtime."):
			where = fmt.Sprintf("%s:%d", f.File, f.Line)
			more = false
		}
		if !more {
			return New(fmt.Errorf("panic of type %T at %s", v, where))
		}
	}
}
