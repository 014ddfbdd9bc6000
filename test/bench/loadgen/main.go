// Command loadgen is the load of Weft's benchmarks that wrk and h2load cannot make: a fixed rate without coordinated
// omission, new mutual TLS connections, idle ones, and opaque streams. Each command prints one JSON object.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

var commands = map[string]func(args []string) (any, error){
	"rate":       rate,
	"handshakes": handshakes,
	"hold":       hold,
	"pull":       func(args []string) (any, error) { return stream(args, false) },
	"push":       func(args []string) (any, error) { return stream(args, true) },
	"tcp-server": tcpServer,
}

func main() {
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: loadgen rate|handshakes|hold|pull|push|tcp-server [flags]")
		os.Exit(64)
	}
	result, err := commands[os.Args[1]](os.Args[2:])
	if err != nil {
		fmt.Fprintf(os.Stderr, "loadgen %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		os.Exit(1)
	}
}
