package redis

import (
	"errors"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/clerkauth/clerkauth/internal/plain"
)

// ErrLeaseLost indicates that the claim of a running handler expired, because Redis was
// unavailable for too long or lost it. Another process may be handling the delivery. It
// is the cause of the cancellation of the handler's context.
var ErrLeaseLost error = plain.New(errors.New("redis: the claim to the delivery was lost"))

var errLate = plain.Wrap("redis: the response to the claim came after its lease: check the network, and whether processes are suspended", ErrLeaseLost)

// advice says what to do about Redis's errors, by their code.
var advice = map[string]string{
	"OOM":         "Redis has no memory left: raise maxmemory",
	"MISCONF":     "Redis cannot save to its disk, and accepts no writes until it can",
	"READONLY":    "this is a replica: connect to the primary, by Sentinel or Cluster or a name that follows it",
	"MASTERDOWN":  "this is a replica without its primary",
	"NOREPLICAS":  "Redis lacks replicas: see min-replicas-to-write",
	"NOAUTH":      "Redis requires a password: set it in the client's options",
	"WRONGPASS":   "Redis rejects the client's password",
	"NOPERM":      "the user needs the commands EVALSHA, EVAL, GET, SET, DEL and PEXPIRE on keys with the store's prefix",
	"WRONGTYPE":   "something else has written a key with the store's prefix: choose another prefix",
	"LOADING":     "Redis is loading its data: this is temporary",
	"BUSY":        "Redis is running a script that does not end",
	"CLUSTERDOWN": "the cluster does not serve all slots",
}

// failure returns err with the operation that failed and advice. Its text may be
// logged: it leaves out the text of err.
func failure(doing string, err error) error {
	text := "redis: " + doing
	var refused goredis.Error
	if errors.As(err, &refused) {
		code := plain.RedisCode(refused)
		if strings.Contains(refused.Error(), "user executing the script can't") {
			code = "NOPERM" // a script's command fails with this text instead of the code
		}
		if what := advice[code]; what != "" {
			text += ": " + what
		}
	} else if network := net.Error(nil); errors.As(err, &network) {
		text += ": Redis cannot be reached"
	}
	return plain.Wrap(text, err)
}
