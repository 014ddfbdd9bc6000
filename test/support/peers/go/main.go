// A gRPC peer of the tests: `peers serve <address>` answers, `peers call <address> <case>...` runs the named cases and
// prints one JSON object a line for each.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

type result struct {
	Case  string `json:"case"`
	Error string `json:"error"`
	Ms    int64  `json:"ms"`
}

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: peers serve <address> | peers call <address> <case>...")
		os.Exit(2)
	}
	switch os.Args[1] {
	case "serve":
		if err := serve(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "call":
		client, err := newClient(os.Args[2])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer client.connection.Close()
		for _, name := range os.Args[3:] {
			began := time.Now()
			text := ""
			if run, known := cases[name]; !known {
				text = "no such case"
			} else if err := run(client); err != nil {
				text = err.Error()
			}
			line, _ := json.Marshal(result{name, text, time.Since(began).Milliseconds()})
			fmt.Println(string(line))
		}
	default:
		fmt.Fprintln(os.Stderr, "serve or call")
		os.Exit(2)
	}
}
