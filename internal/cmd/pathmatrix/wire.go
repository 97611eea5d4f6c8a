package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// reply is the part of a response that is examined.
type reply struct {
	status  int
	reached string // the handler that ran
}

// client sends request lines unchanged. net/http's client would parse and rewrite them.
type client interface {
	send(target) (reply, error)
	close()
}

const deadline = 10 * time.Second // for an unresponsive server

// client1 is a client for HTTP/1.1. It keeps its connection while the server does.
type client1 struct {
	addr string
	conn net.Conn
	r    *bufio.Reader
}

func (c *client1) send(t target) (reply, error) {
	fresh := c.conn == nil
	rep, err := c.try(t)
	if err != nil && !fresh { // the server closed an idle connection
		c.close()
		rep, err = c.try(t)
	}
	if err != nil {
		c.close()
	}
	return rep, err
}

func (c *client1) try(t target) (reply, error) {
	if c.conn == nil {
		conn, err := net.Dial("tcp", c.addr)
		if err != nil {
			return reply{}, err
		}
		c.conn, c.r = conn, bufio.NewReader(conn)
	}
	if err := c.conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		return reply{}, err
	}
	last := t.old || t.method == "CONNECT"
	if _, err := c.conn.Write(request(t)); err != nil {
		return reply{}, err
	}
	if last { // what follows a CONNECT is not delimited
		raw, err := io.ReadAll(c.r)
		c.close()
		if err != nil && len(raw) == 0 {
			return reply{}, err
		}
		return parseRaw(raw)
	}
	resp, err := http.ReadResponse(c.r, &http.Request{Method: t.method})
	if err != nil {
		return reply{}, err
	}
	body, err := io.ReadAll(resp.Body)
	if resp.Close {
		c.close()
	}
	return newReply(resp.StatusCode, resp.Header.Get(marker), resp.ContentLength, body), err
}

// request returns the bytes of a request.
func request(t target) []byte {
	if t.old {
		return fmt.Appendf(nil, "%s %s HTTP/1.0\r\n\r\n", t.method, t.path)
	}
	more := ""
	if t.method == "CONNECT" {
		more = "Connection: close\r\n"
	}
	if t.method == "POST" || t.method == "PUT" {
		more = "Content-Length: 0\r\n"
	}
	return fmt.Appendf(nil, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", t.method, t.path, t.host, more)
}

func (c *client1) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

func parseRaw(raw []byte) (reply, error) {
	head, body, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	line, _, _ := strings.Cut(string(head), "\r\n")
	_, code, _ := strings.Cut(line, " ")
	status, err := strconv.Atoi(code[:min(3, len(code))])
	if err != nil {
		return reply{}, fmt.Errorf("no status in %.40q", raw)
	}
	mark := ""
	if strings.Contains(string(head), marker+": "+secret) {
		mark = secret
	}
	return newReply(status, mark, -1, body), nil
}

// client2 is a client for HTTP/2 without TLS. It writes frames itself, with the target as
// :path.
type client2 struct {
	addr   string
	conn   net.Conn
	framer *http2.Framer
	buf    bytes.Buffer
	enc    *hpack.Encoder
	stream uint32
	last   bool // the server accepts no more requests on this connection
}

func (c *client2) dial() error {
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return err
	}
	c.conn, c.stream, c.last = conn, 1, false
	c.framer = http2.NewFramer(conn, bufio.NewReader(conn))
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.buf.Reset()
	c.enc = hpack.NewEncoder(&c.buf)
	if err := c.framer.WriteSettings(); err != nil {
		return err
	}
	return c.framer.WriteWindowUpdate(0, 1<<30) // more than a connection transfers
}

var errNoHTTP2 = errors.New("HTTP/2 has no such request")

func (c *client2) send(t target) (reply, error) {
	if t.method == "CONNECT" || t.old {
		return reply{}, errNoHTTP2
	}
	rep, err := c.try(t)
	if errors.Is(err, errGone) { // the request was not processed (RFC 9113 section 6.8)
		c.close()
		rep, err = c.try(t)
	}
	if err != nil || c.last {
		c.close()
	}
	return rep, err
}

// errGone indicates that the server closed the connection before it processed the request.
var errGone = errors.New("the server closed the connection")

func (c *client2) try(t target) (rep reply, err error) {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return rep, err
		}
	}
	if err := c.conn.SetDeadline(time.Now().Add(deadline)); err != nil {
		return rep, err
	}
	c.buf.Reset()
	for _, f := range [][2]string{{":method", t.method}, {":scheme", "http"}, {":authority", t.host}, {":path", t.path}} {
		if err := c.enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return rep, err
		}
	}
	id := c.stream
	c.stream += 2
	if err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: c.buf.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
		return rep, err
	}
	var mark string
	var body []byte
	length := int64(-1)
	for {
		frame, err := c.framer.ReadFrame()
		if err != nil {
			return rep, err
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				if err := c.framer.WriteSettingsAck(); err != nil {
					return rep, err
				}
			}
		case *http2.MetaHeadersFrame:
			for _, h := range f.Fields {
				switch h.Name {
				case ":status":
					if rep.status, err = strconv.Atoi(h.Value); err != nil {
						return rep, err
					}
				case strings.ToLower(marker):
					mark = h.Value
				case "content-length":
					if length, err = strconv.ParseInt(h.Value, 10, 64); err != nil {
						return rep, err
					}
				}
			}
			if f.StreamEnded() && f.StreamID == id {
				return newReply(rep.status, mark, length, body), nil
			}
		case *http2.DataFrame:
			if body = append(body, f.Data()...); f.StreamEnded() && f.StreamID == id {
				return newReply(rep.status, mark, length, body), nil
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id { // the server found the request malformed
				return newReply(max(rep.status, http.StatusBadRequest), mark, length, body), nil
			}
		case *http2.GoAwayFrame:
			c.last = true
			if f.ErrCode != http2.ErrCodeNo {
				return rep, fmt.Errorf("the server closed the connection: %v", f.ErrCode)
			}
			if f.LastStreamID < id {
				return rep, errGone
			}
		}
	}
}

func (c *client2) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
