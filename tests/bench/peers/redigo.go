// redigo, the client of the article: https://github.com/gomodule/redigo.
//
// way=watch:  WATCH, GET, MULTI, SET, EXEC, as redigo's own example does it (zpop_example_test.go).
// way=script: compare_and_count.lua by EVALSHA, as the article does it. Of own keys the last
// commit is the next base, so that an update is one command; of a hot key value and version are
// read first.
package main

import (
	"os"

	"github.com/gomodule/redigo/redis"
)

var (
	pool   *redis.Pool
	script *redis.Script
)

func byWatch() func(string, func()) error {
	return func(key string, failed func()) error {
		conn := pool.Get()
		defer conn.Close()
		for {
			if _, err := conn.Do("WATCH", key); err != nil {
				return err
			}
			value, err := redis.Int(conn.Do("GET", key))
			if err != nil && err != redis.ErrNil {
				return err
			}
			conn.Send("MULTI")
			conn.Send("SET", key, value+1)
			queued, err := conn.Do("EXEC")
			if err != nil || queued != nil {
				return err
			}
			failed()
		}
	}
}

func byScript() func(string, func()) error {
	var base struct{ Value, Version int }
	isKnown := false
	return func(key string, failed func()) error {
		conn := pool.Get()
		defer conn.Close()
		versionKey := "{" + key + "}:v"
		for {
			if !isKnown {
				found, err := redis.Ints(conn.Do("MGET", key, versionKey))
				if err != nil {
					return err
				}
				base.Value, base.Version = found[0], found[1]
			}
			reply, err := script.Do(conn, key, versionKey, base.Value+1, base.Version+1)
			if err != nil {
				return err
			}
			if reply == "OK" {
				base.Value++
				base.Version++
				isKnown = settings["kind"] == "own"
				return nil
			}
			isKnown = false // an array: -1, and the version that stands there
			failed()
		}
	}
}

// All connections are there before the work begins.
func connect() {
	size := setting("connections")
	pool = &redis.Pool{MaxIdle: size, MaxActive: size, Wait: true,
		Dial: func() (redis.Conn, error) { return redis.Dial("unix", settings["socket"]) }}
	source, err := os.ReadFile("tests/bench/peers/compare_and_count.lua")
	must(err)
	script = redis.NewScript(2, string(source))
	conns := make([]redis.Conn, size)
	for i := range conns {
		conns[i] = pool.Get()
		must(script.Load(conns[i]))
	}
	for _, conn := range conns {
		must(conn.Close())
	}
}

func main() {
	readSettings()
	connect()
	if settings["way"] == "script" {
		run(byScript)
	} else {
		run(byWatch)
	}
}
