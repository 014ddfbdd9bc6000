// All cases of h2spec, strict ones included, against one port: a report in JUnit's format.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/summerwind/h2spec"
	"github.com/summerwind/h2spec/config"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: h2spec <port> <seconds a case> <report>")
		os.Exit(2)
	}
	port, portError := strconv.Atoi(os.Args[1])
	seconds, secondsError := strconv.Atoi(os.Args[2])
	if portError != nil || secondsError != nil {
		fmt.Fprintln(os.Stderr, "h2spec: port and seconds are whole numbers")
		os.Exit(2)
	}
	_, err := h2spec.Run(&config.Config{
		Host:         "127.0.0.1",
		Port:         port,
		Path:         "/",
		Timeout:      time.Duration(seconds) * time.Second,
		MaxHeaderLen: 4000,
		Strict:       true,
		JUnitReport:  os.Args[3],
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
