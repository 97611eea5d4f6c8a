package main

import (
	"encoding/json"
	"maps"
	"slices"
)

// keyState is the result of the SDK's search for a token's key.
type keyState int

const (
	keysNotNeeded keyState = iota // there is a local key, or no usable token
	keyFound                      // whether usable or not
	keyUnknown                    // jwk-kid-mismatch
	keysFailed                    // jwk-remote-failed-to-load, secret-key-invalid
	keysBroken                    // unexpected-error
	keysPrototype                 // a member of every JavaScript object was found
)

// prototype are the names that an empty JavaScript object has.
var prototype = []string{
	"constructor", "hasOwnProperty", "isPrototypeOf", "propertyIsEnumerable", "toLocaleString", "toString", "valueOf",
	"__proto__", "__defineGetter__", "__defineSetter__", "__lookupGetter__", "__lookupSetter__",
}

// sdkKeys is the SDK's key cache: sets are merged into it, an unknown id always causes a
// fetch, and after five minutes it is emptied.
type sdkKeys struct {
	known map[string]bool
	at    int64
	down  bool // the last fetch failed

	// For rules about our own cache: the keys published in the scope so far, the last set,
	// and whether a search for a key has failed.
	seen, last []map[string]any
	failed     bool
}

// clone returns an independent copy.
func (k *sdkKeys) clone() *sdkKeys {
	c := *k
	c.known = maps.Clone(k.known)
	c.seen = slices.Clone(k.seen)
	return &c
}

// remember records the keys that are published in a case.
func (k *sdkKeys) remember(r *reading) {
	r.before, r.failedBefore = k.last, k.failed
	if set, state := r.published(); state == keyFound {
		k.seen = append(k.seen, set...)
		k.last = set
	}
	r.seen = k.seen
}

func (k *sdkKeys) lookUp(r *reading) keyState {
	if k.known == nil || r.Now-k.at >= 5*60*1000 {
		k.known = map[string]bool{}
	}
	inherited := slices.Contains(prototype, r.kid)
	if len(k.known) == 0 || !k.known[r.kid] && !inherited || r.Options["skipJwksCache"] == true {
		set, state := r.published()
		r.wasDown, k.down = k.down, state != keyFound
		if k.down {
			return state
		}
		k.at = r.Now
		for _, key := range set {
			kid, _ := key["kid"].(string)
			k.known[kid] = true
		}
	}
	switch {
	case inherited:
		return keysPrototype
	case r.kid == "" || !k.known[r.kid]:
		return keyUnknown
	default:
		return keyFound
	}
}

// jwks returns the Backend API's response, in this case, to a request for keys.
func (r *reading) jwks() bapiAnswer {
	version := r.text("apiVersion")
	if version == "" {
		version = "v1"
	}
	return find(r.BAPI, "GET", "/"+version+"/jwks")
}

// published returns the keys in that response.
func (r *reading) published() ([]map[string]any, keyState) {
	a := r.jwks()
	var body any
	if a.Status == 0 || json.Unmarshal(a.body(), &body) != nil || body == nil {
		return nil, keysBroken
	}
	answer, _ := body.(map[string]any)
	if s, isText := answer["keys"].(string); isText && s != "" && a.Status/100 == 2 {
		return nil, keysBroken
	}
	list, _ := answer["keys"].([]any)
	if a.Status/100 != 2 || len(list) == 0 {
		return nil, keysFailed
	}
	set := make([]map[string]any, 0, len(list))
	for _, e := range list {
		if e == nil {
			return nil, keysBroken
		}
		key, _ := e.(map[string]any)
		set = append(set, key)
	}
	return set, keyFound
}
