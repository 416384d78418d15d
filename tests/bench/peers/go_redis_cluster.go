// go-redis' ClusterClient: increments of one key by the core script, as redis_py_cluster.py makes
// them: value and version are read in one step, both are sent plus one, and read again where they
// have moved. An error is an update that failed, as its caller would be told; then the next one.
//
// port=, key=, version_key=, script=FILE, read=FILE, workers=, seconds=; prints what it was told.
package main

import (
	"encoding/json"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"gopkg.in/redis.v5"
)

type counting struct {
	client       *redis.ClusterClient
	read, script string
	keys         []string
}

func number(value interface{}) int64 {
	switch held := value.(type) {
	case int64:
		return held
	case string:
		parsed, err := strconv.ParseInt(held, 10, 64)
		must(err)
		return parsed
	}
	return 0
}

func (counting *counting) increment() error {
	for {
		stand, err := counting.client.Eval(counting.read, counting.keys).Result()
		if err != nil {
			return err
		}
		state := stand.([]interface{})
		reply, err := counting.client.Eval(counting.script, counting.keys,
			strconv.FormatInt(number(state[0])+1, 10), number(state[1])+1).Result()
		if err != nil {
			return err
		}
		if reply == "OK" {
			return nil
		}
	}
}

func text(setting string) string {
	content, err := os.ReadFile(settings[setting])
	must(err)
	return string(content)
}

func main() {
	readSettings()
	counting := &counting{
		client: redis.NewClusterClient(&redis.ClusterOptions{
			Addrs:       []string{"127.0.0.1:" + settings["port"]},
			DialTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Second}),
		read: text("read"), script: text("script"),
		keys: []string{settings["key"], settings["version_key"]},
	}
	seconds, err := strconv.ParseFloat(settings["seconds"], 64)
	must(err)
	deadline := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	var committed, failed int64
	var all sync.WaitGroup
	for i := setting("workers"); i > 0; i-- {
		all.Add(1)
		go func() {
			defer all.Done()
			for time.Now().Before(deadline) {
				if counting.increment() == nil {
					atomic.AddInt64(&committed, 1)
				} else {
					atomic.AddInt64(&failed, 1)
					time.Sleep(50 * time.Millisecond)
				}
			}
		}()
	}
	all.Wait()
	must(json.NewEncoder(os.Stdout).Encode(
		map[string]int64{"committed": committed, "failed": failed}))
}
