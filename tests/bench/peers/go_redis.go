// go-redis, in the version that Debian has: https://github.com/redis/go-redis.
//
// way=watch: Client.Watch with GET and a transactional pipeline, tried again on TxFailedErr, as its
// own example does it.
package main

import (
	"strconv"
	"time"

	"gopkg.in/redis.v5"
)

var client *redis.Client

func increment(key string) error {
	return client.Watch(func(tx *redis.Tx) error {
		value, err := tx.Get(key).Int64()
		if err != nil && err != redis.Nil {
			return err
		}
		_, err = tx.Pipelined(func(pipe *redis.Pipeline) error {
			pipe.Set(key, strconv.FormatInt(value+1, 10), 0)
			return nil
		})
		return err
	}, key)
}

func byWatch() func(string, func()) error {
	return func(key string, failed func()) error {
		for {
			if err := increment(key); err != redis.TxFailedErr {
				return err
			}
			failed()
		}
	}
}

func main() {
	readSettings()
	client = redis.NewClient(&redis.Options{Network: "unix", Addr: settings["socket"],
		PoolSize: setting("connections"), PoolTimeout: time.Minute, ReadTimeout: time.Minute})
	must(client.Ping().Err())
	run(byWatch)
}
