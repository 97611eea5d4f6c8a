package main

import (
	"slices"
	"strings"
)

// hostForms are variants of a host, most of them invalid or slightly different. None may
// contain a second %s.
var hostForms = strings.Fields(`
%s %s:80 %s:1 %s: %s:443 %s:8080 %s:8443 %s:08443 %s:+80 %s:+8443 %s:-1 %s:99999 %s:0 %s:a %s:80. %s:. %s:8%30 %s:%38443
%s:80:90 %s:: %s:] %s:80] %s:[ %s:[] %s:80:8443 %s:8443: %s:8443:80 %s:: %s:::: %s:8443.
%s. %s.. %s... %s.:80 %s..:80 %s.:8443 %s..:8443 %s.:80:90 %s.:
[%s] [%s]:80 [%s]:8443 [%s %s] %s]:80 [[%s]] [%s]: [%s]:8443:80 [::1]%s [::1]:80%s
%s%%20 %s%%2e %s%%00 %s%%3a80 %s%%3A8443 %s+ %s,evil %s;x %s&x %s=x %s~ %s! %s'x %s(x) %s*
.%s *.%s evil.%s evil@%s evil:x@%s %s@evil.example %s:80@evil.example :%s :80:%s evil.example:%s evil,%s _%s -%s %s_ %s- %s.evil.example
xn--%s %s/ %s/x %s?x %s#x %s\x \%s //%s http://%s %s,%s: {%s} "%s" <%s> %s|x %s^x %s$
`)

// rawHosts are complete hosts.
var rawHosts = []string{
	"", ".", ":", ":80", ":8443", "[]", "[", "]", "[::1]", "[::1]:8080", "[::1]:8080:80", "[::1]:8081", "[::1]8080", "[::1]:", "[::1]:08080", "[::1].:8080",
	"[0:0:0:0:0:0:0:1]:8080", "[::1%25lo]:8080", "[::1%lo]:8080", "::1", "::1:8080", "[::1]:8080.", "[::1]]:8080", "[[::1]]:8080", "[::1]@evil:8080", "[::ffff:127.0.0.1]:8080",
	"localhost", "localhost:8080", "localhost.:8080", "LOCALHOST:8080", "localhost:80", "localhost:8080:80", "localhost:08080", "localhost:8080.", "localhost:", "localhost::8080", "localhost:80:8080",
	"127.0.0.1:8080", "127.1:8080", "0x7f.1", "other.example.org", "other.example.org:443", "example.com", "com", "admin", "admin.example", "admin.example.org", "www.admin.example.com",
	"a b", "a\tb", "%61dmin.example.com", "%41dmin.example.com:80", "admin%2eexample.com", "admin..example.com", "admin.example.com.evil",
	"admin\u3002example\u3002com", "\uff41dmin.example.com", "\u212aiosk.example.com", "kio\u017fk.example.com", "kiosk.example.com\u200b", "k\u0131osk.example.com",
	"xn--dmin-53c.example.com", "xn--admin.example.com", "xn--bcher-kva.example", "xn--kiosk-.example.com", "xn--admin-.example.com", "admin.example.com.xn--", "xn--.admin.example.com", "admin.xn--.example.com", "\xe0dmin.example.com",
	"*", "*.example.com", "-", "_", "$", "1", "x-1.example.com:443",
	// Two lines, and a folded line.
	wwwHost + "\r\nHost: " + adminHost, adminHost + "\r\nHost: " + wwwHost, wwwHost + "\r\n " + adminHost, wwwHost + ",\r\n\t" + adminHost, wwwHost + "\r\nhost: " + wwwHost,
	wwwHost + "\r\nHost : " + adminHost, wwwHost + "\r\nX-Forwarded-Host: " + adminHost, wwwHost + "\r\nForwarded: host=" + adminHost, wwwHost + "\r\nX-Forwarded-Port: 8443",
	adminHost + "\r\nX-Forwarded-Host: " + wwwHost, adminHost + "\r\nX-Original-Host: " + wwwHost + "\r\nX-Host: " + wwwHost,
}

// hosts returns all values of the Host header to send.
var hosts = func() []string {
	var list []string
	for _, host := range []string{adminHost, wwwHost, "KIOSK.example.com"} {
		for _, form := range hostForms {
			list = append(list, strings.NewReplacer("%s", host, "%%", "%").Replace(form))
		}
		list = append(list, " "+host, host+" ", "\t"+host+"\t", host+" :80", host+" x", host+"\x00", host+"\x0b", host+"\x7f")
	}
	for _, host := range []string{kioskHost, "Admin.example.com", "ADMIN.EXAMPLE.COM", "WWW.example.com", "www.example.coM"} {
		list = append(list, host, host+":80", host+":8443", host+".", host+".:80", host+":80:90", host+"::")
	}
	list = append(list, rawHosts...)
	slices.Sort(list)
	return slices.Compact(list)
}()

// absolutes are targets that contain a host. They are sent with the same host and with
// others.
var absolutes = strings.Fields(`
http://%s/a http://%s HTTP://%s/a hTTp://%s:80/a https://%s/a http://%s:/a http://%s:8443/a http://%s.:80/a http://%s:80:90/a http://%s::/a http://%s:]/a
http://user@%s/a http://user:pass@%s:80/a http://%s@evil.example/a http://evil.example@%s/a http://@%s/a ws://%s/a x://%s/a x+y://%s/a
http://%s./a http://%s../a http://[%s]/a http://%s%%20/a http://%s%%2e/a http://%s#x http://%s/a#x http://%s?x http://%s\evil.example/a http://\%s/a http://%s\@evil.example/a
http:///%s/a http:/a http:/a?%s x:/a?%s file:/a?%s http:a?%s //%s/a ///%s/a /%s/a :80/a?%s x:?%s http://?%s http://:80/a?%s https:/login?%s http:/login?%s http:///login?%s
http://kio%%C5%%BFk.example.com/a?%s http://%%E2%%84%%AAiosk.example.com/a?%s http://admin%%E3%%80%%82example.com/a?%s http://%%EF%%BD%%81dmin.example.com/a?%s
http://%s%%E2%%80%%8B/a http://%s%%C2%%AD/a http://%s%%EF%%BC%%9A80/a http://%s%%EF%%BC%%8E/a http://%%61dmin.example.com/a?%s http://%s%%00/a http://%s:%%38443/a
http://[::1]:8080/a?%s http://localhost:8080/?%s http://[::1%%25lo]:8080/a?%s http://[%s%%25x]/a http://[::1%%25%s]/a http://[::1]%s/a
`)

// hostTargets returns all requests for the applications of a layout.
func (l hostLayout) targets() []target {
	var list []target
	add := func(method, path, host string) { list = append(list, target{method: method, path: path, host: host}) }
	for _, host := range hosts {
		add("GET", "/a", host)
	}
	for _, host := range []string{adminHost, wwwHost, "localhost:8080", adminHost + ":8443"} {
		for _, method := range []string{"HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "post", "FOO", "CONNECT"} {
			add(method, "/a", host)
			add(method, "/a", host+":80:90")
			add(method, "http://"+host+"/a", host)
		}
		add("CONNECT", host, host)
		add("CONNECT", adminHost+":443", host)
		add("OPTIONS", "*", host)
		for _, path := range strings.Fields("/ //a /./a /%61 /login/ /login/../a /LOGIN /%6cogin /login%2f..%2fa /login;x /login.html //login /x/../login /login? /login/x") {
			add("GET", path, host)
		}
		list = append(list, target{method: "GET", path: "/a", host: host, old: true})
	}
	// The target and the header have a host each.
	for _, hosts := range [][2]string{
		{adminHost, wwwHost}, {wwwHost, adminHost}, {wwwHost, wwwHost}, {"ADMIN.example.com", wwwHost}, {adminHost, "localhost:8080"}, {"localhost:8080", adminHost}, {kioskHost, wwwHost + ":80"},
	} {
		for _, form := range absolutes {
			add("GET", strings.NewReplacer("%s", hosts[0], "%%", "%").Replace(form), hosts[1])
		}
		add("POST", "http://"+hosts[0]+"/a", hosts[1])
		list = append(list, target{method: "GET", path: "http://" + hosts[0] + "/a", old: true})
	}
	list = append(list, target{method: "GET", path: "/a", old: true}, target{method: "GET", path: "//" + wwwHost + "/a", old: true}, target{method: "GET", path: "http:/a", old: true})
	for _, host := range l.benign {
		list = append(list,
			target{method: "GET", path: "/login", host: host, benign: true},
			target{method: "HEAD", path: "/login", host: host, benign: true},
			target{method: "GET", path: "http://" + host + "/login", host: host, benign: true},
			target{method: "GET", path: "/login?next=//" + adminHost, host: host, benign: true},
		)
		if l.routes[host] == login {
			continue
		}
		for _, path := range strings.Fields("/ /robots.txt /favicon.ico /assets/app.min.js /a%20b /v1/caf%C3%A9") {
			list = append(list, target{method: "GET", path: path, host: host, benign: true})
		}
	}
	return list
}
