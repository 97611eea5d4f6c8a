package main

import (
	"fmt"
	"strings"
)

// target is a request line to send.
type target struct {
	method string
	path   string // as on the wire
	host   string // the Host header, or :authority
	// benign reports whether the request is ordinary and for an unprotected path, so that
	// no guard may refuse it.
	benign bool
	// old means an HTTP/1.0 request without Host, in which fasthttp reads a target that
	// begins with // as a host and a path.
	old bool
}

func (t target) String() string {
	if t.host == appHost {
		return t.method + " " + t.path
	}
	return fmt.Sprintf("%s %s with host %q", t.method, t.path, t.host)
}

// appHost is the host of requests that test paths.
const appHost = "app.example"

// targets returns requests for the protected path in many spellings, and ordinary requests
// for other paths.
func targets() []target {
	var list []target
	for _, path := range strings.Fields(unusual) {
		list = append(list, target{method: "GET", path: path})
	}
	for _, path := range strings.Fields(benign) {
		list = append(list, target{method: "GET", path: path, benign: true})
	}
	for _, method := range []string{"HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get", "FOO", "CONNECT"} {
		list = append(list,
			target{method: method, path: "/admin/users"},
			target{method: method, path: "//admin/users"},
			target{method: method, path: "/public/../admin/users"},
			target{method: method, path: "/public/%2e%2e/admin/users"},
			target{method: method, path: "/admin/users.json"},
			target{method: method, path: "/public//x/admin/users"},
		)
	}
	list = append(list,
		target{method: "CONNECT", path: "app.example:443"},
		target{method: "OPTIONS", path: "*"},
		target{method: "HEAD", path: "/public/index", benign: true},
		target{method: "POST", path: "/public/index", benign: true},
		target{method: "GET", path: "/admin/users", old: true},
		target{method: "GET", path: "//evil.example/admin/users", old: true},
		target{method: "GET", path: "//public/admin/users", old: true},
		target{method: "GET", path: "x://public/admin/users", old: true},
	)
	for i := range list {
		list[i].host = appHost
	}
	return list
}

const unusual = `
/admin/users /admin /admin/ /admin/users/ /admin/users// /admin/users/x /admin/x
//admin/users /admin//users ///admin///users //admin//users /admin/users/// //public/../admin/users
/./admin/users /admin/./users /admin/users/. /.//admin/users
/x/../admin/users /public/../admin/users /public/x/../../admin/users /public//../admin/users /public/.././admin/users
/../admin/users /../../admin/users /admin/users/.. /admin/.. /admin/x/../users /admin/users/x/.. /admin/../admin/users
/%61dmin/users /%61%64%6d%69%6e/users /adm%69n/user%73 /admin/%75sers /%61dmin/%75sers
/admin%2fusers /admin%2Fusers /%2fadmin/users /%2Fadmin%2Fusers /admin/users%2f /admin/%2fusers /admin%2f%2fusers
/%61dmin/users%2fx /%61dmin/x%2fusers /%61dmin%2fusers /a%64min/a%2fb
/%2e/admin/users /admin/%2e/users /x/%2e%2e/admin/users /public/%2e%2e/admin/users /public/.%2e/admin/users
/public/%2E%2E/%61dmin/users /public/..%2fadmin/users /public%2f..%2fadmin%2fusers /public/%2e%2e%2fadmin%2fusers
/admin/%2e%2e /admin%2f.. /admin/%2E. /public/x%2f..%2f..%2fadmin/users /public%2f%2e%2e/admin/users
/admin\users /public\..\admin\users /\admin/users /admin%5cusers /public/..%5cadmin/users /public%5c..%5cadmin%5cusers /%5cadmin/users /\\admin\users
/admin;x/users /admin/users;x=1 /public/..;/admin/users /admin/..;/users /admin;/users; /;/admin/users /admin%3bx/users /admin/users%3b
/;x=1%2fx/../admin/users /public;x=1%2f../admin/users
/admin/users. /admin./users /admin/users.. /admin/users%20 /admin%20/users /admin/users+ /admin/users%2e /%20/admin/users
/admin/users%00 /admin%00/users /admin/users%0a /admin/users%0d%0a /admin/users%09 /admin/users%7f /admin/users%250a
/ADMIN/users /Admin/Users /admin/USERS /aDmIn/UsErS /%41DMIN/users
/%2561dmin/users /admin%252fusers /public/%252e%252e/admin/users /%252561dmin/users /public/..%252fadmin/users /%2561dmin/users%25
/%EF%BD%81dmin/users /admin%EF%BC%8Fusers /adm%C4%B1n/users /admin%E2%80%8B/users /%ef%bb%bf/admin/users
/%c0%ae%c0%ae/admin/users /admin%c0%afusers /admin/users%ff /admin/%ed%a0%80
/admin/users? /admin/users?x=/public/ /admin/users?x#y /admin/users%3fx /admin/users%23x /admin/users#x /admin/users#/../../public/index /admin/users?/../../public/
http://evil.example/admin/users http://evil.example//admin/users http://evil.example/%61dmin/users http://evil.example/public/../admin/users
http:admin/users http:/admin/users http:///admin/users //evil.example/admin/users ///evil.example/admin/users x://evil.example/admin/users http://evil.example?/admin/users
/public%2fx/../admin/a\b /public%2f|/../admin/users /public%2f"/../admin/users /public%2f^/../admin/users /%2e%2e|/../admin/users
/admin/users% /admin/users%zz /%u0061dmin/users /admin/users%2 admin/users * ?x
/public/index/../../admin/users /public/x%2f../../admin/users /static/../admin/users /legacy/../admin/users /legacy/..%2f..%2fadmin/users
/x/admin/users /users/admin /adminx/users /administrator /admin-public/users
/admin/users/%2e%2e/users /admin/%2e%2e/admin/users /public/%2e%2e//admin//users /public/./../admin/./users/.
/%2e%2e/admin/users /%2e%2e%2fadmin/users /.%2fadmin/users /%2f/admin/users /%2f%2fadmin%2f%2fusers
/admin/..%2fadmin/users /admin%2f..%2fadmin%2fusers /admin/..%5c..%5cadmin/users /admin%09/users /admin%0b/users
/admin/users.json /admin/users.x /admin/users.min.json /admin/users.json/ /admin/users.json/. /admin/users.json;x=1 /admin/users%2ejson /admin/users%2Ejson%20
/ADMIN/users.json /admin//users.json //admin/users.json /public/../admin/users.json /public/%2e%2e/admin/users.json /%61dmin/users.json /admin%2fusers.json /admin%5cusers.json
/admin/users.json.. /admin/users..json /admin/users.%20 /admin/users.a/b.c /admin.x/users.y /admin/.users /admin/users/.json /admin/users/x/... /admin/users.json%00 /admin/users.%6a
/admin/users/x/...json /admin/users/x/%2e%2e%2ejson /admin/x/..%2fusers.json /public/../admin/users/x/...x /admin/users.json?x=/a.b /admin/users.%2e /admin/users.%2f /admin/users%252ejson /admin/users.json%2f /admin;.x/users /admin/users;.json /public/x/..././admin/users.json
/public//x/admin/users /public//admin/users /public/x//y/admin/users //x/admin/users /public///x/admin/users /public//x/%61dmin/users /public//x/admin/users/ /public/%2f/x/admin/users
/public//x/admin%2fusers /public//admin/x/admin/users /public//x//admin/users /public//x/admin/users.json /public/./x/admin/users /public//../admin/users /public/;/x/admin/users /public/%20/x/admin/users
/public//x/ADMIN/users /public//x/y/admin/users /img/https://host/admin/users /public/x/y/admin/users /public//x/public/admin/users //public//x/admin/users
`

const benign = `
/public/index /public/ /public/a /public/a/b /public/a%2Fb /public/x;v=1 /public/c%2B%2B /public/50%25 /public/caf%C3%A9
/public/a%20b.txt /public/report%20(1).pdf /public/@user /public/a:b /public/a,b /public/It's /public/%E2%9C%93 /public/v1.2.3
/public/.well-known/x /public/a+b /public/a=b&c /public/index?x=/admin/users /public/index?..%2fadmin=1 /public/a~b /public/UPPER
/public/100%25%20sure /public/a%26b /public/x%3Dy /public/index/ /public/a.b. /public/日本 /public/index?redirect=https://evil.example/admin
http://evil.example/public/index /robots.txt /favicon.ico /assets/app.min.js /assets/css/site.v2.css /assets/app.js?v=1.2
`
