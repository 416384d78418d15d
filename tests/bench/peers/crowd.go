// What the peers in Go share: their settings, workers that begin together and make their shares,
// the pause after a conflict, and what is printed. Settings: see ../measuring/programs.py.
package main

import (
	"encoding/json"
	"log"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var settings = map[string]string{}

func readSettings() {
	for _, word := range os.Args[1:] {
		at := strings.Index(word, "=")
		settings[word[:at]] = word[at+1:]
	}
}

func setting(name string) int {
	number, err := strconv.Atoi(settings[name])
	must(err)
	return number
}

func must(err error) {
	if err != nil {
		log.Fatal(os.Args[0], ": ", err)
	}
}

// After a conflict: uniform below min(cap, base 2^failures).
func pause(failures int, random *rand.Rand) {
	if failures > 40 {
		failures = 40
	}
	ceiling := float64(setting("base_us")) * float64(int64(1)<<uint(failures))
	if limit := float64(setting("cap_us")); ceiling > limit {
		ceiling = limit
	}
	if ceiling > 0 {
		time.Sleep(time.Duration(random.Float64() * ceiling * 1000))
	}
}

// A worker's share of the updates; see run.
func makeShare(number int, attempts *int64, update func(key string, failed func()) error) {
	random := rand.New(rand.NewSource(time.Now().UnixNano() + int64(number)))
	if settings["kind"] == "hot" {
		number = 0
	}
	tried := int64(0)
	for share := setting("share"); share > 0; share-- {
		failures := 0
		must(update("bench:"+strconv.Itoa(number), func() {
			failures++
			pause(failures, random)
		}))
		tried += int64(failures) + 1
	}
	atomic.AddInt64(attempts, tried)
}

// All workers begin together. newUpdate makes a worker's update, which increments a key, and calls
// failed at each conflict; failed returns when it is time to try again.
func run(newUpdate func() func(key string, failed func()) error) {
	seconds := make([]float64, setting("workers"))
	begin := make(chan struct{})
	var all sync.WaitGroup
	var started time.Time
	var attempts int64
	for i := range seconds {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			<-begin
			makeShare(i, &attempts, newUpdate())
			seconds[i] = time.Since(started).Seconds()
		}(i)
	}
	started = time.Now()
	close(begin)
	all.Wait()
	result := map[string]interface{}{"attempts": attempts, "seconds": seconds}
	must(json.NewEncoder(os.Stdout).Encode(result))
}
