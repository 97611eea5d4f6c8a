package redis

import (
	"errors"
	"net"
	"strings"

	goredis "github.com/redis/go-redis/v9"

	"github.com/clerkauth/clerkauth/internal/plain"
)

// ErrLeaseLost says that the claim of a running handler ran out, because Redis
// was away for too long or forgot it, and that another process may have begun to
// handle the delivery. It ends the handler's context, as its cause.
var ErrLeaseLost error = plain.New(errors.New("redis: the claim to the delivery was lost"))

var errLate = plain.Wrap("redis: the answer to the claim came after its lease: look at the network, and at processes that stand still", ErrLeaseLost)

// advice is what to do about errors of Redis.
var advice = map[string]string{
	"OOM":         "Redis has no memory left: raise maxmemory",
	"MISCONF":     "Redis cannot save to its disk, and takes no writes until it can",
	"READONLY":    "this is a replica: connect to the primary, by Sentinel or Cluster or a name that follows it",
	"MASTERDOWN":  "this is a replica without its primary",
	"NOREPLICAS":  "Redis waits for replicas: see min-replicas-to-write",
	"NOAUTH":      "Redis wants a password: set it in the client's options",
	"WRONGPASS":   "Redis does not accept the client's password",
	"NOPERM":      "the user needs the commands EVALSHA, EVAL, GET, SET, DEL and PEXPIRE on keys with the store's prefix",
	"WRONGTYPE":   "something else has written a key with the store's prefix: choose another prefix",
	"LOADING":     "Redis is loading its data: this passes",
	"BUSY":        "Redis is running a script that does not end",
	"CLUSTERDOWN": "the cluster does not serve all slots",
}

// failure returns err with what was being done and what to do about it. Its text may
// be logged; that of err is left out then.
func failure(doing string, err error) error {
	text := "redis: " + doing
	var refused goredis.Error
	if errors.As(err, &refused) {
		code := plain.RedisCode(refused)
		if strings.Contains(refused.Error(), "user executing the script can't") {
			code = "NOPERM" // which scripts are not told in this way
		}
		if what := advice[code]; what != "" {
			text += ": " + what
		}
	} else if network := net.Error(nil); errors.As(err, &network) {
		text += ": Redis cannot be reached"
	}
	return plain.Wrap(text, err)
}
