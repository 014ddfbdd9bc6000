// Lints certificates (DER in base64, one a line on standard input) by the rules of RFC 5280 alone, and prints a line of
// JSON for each: what is an error, and what is a warning.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"sort"

	"github.com/zmap/zcrypto/x509"
	"github.com/zmap/zlint/v3"
	"github.com/zmap/zlint/v3/lint"
)

type verdict struct {
	Errors   []string `json:"errors"`
	Warnings []string `json:"warnings"`
	Passed   int      `json:"passed"`
}

func main() {
	registry, err := lint.GlobalRegistry().Filter(lint.FilterOptions{IncludeSources: lint.SourceList{lint.RFC5280, lint.RFC5480}})
	if err != nil {
		fail(err)
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		der, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			fail(err)
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			fail(err)
		}
		found := verdict{Errors: []string{}, Warnings: []string{}}
		for name, result := range zlint.LintCertificateEx(certificate, registry).Results {
			said := name
			if result.Details != "" {
				said += ": " + result.Details
			}
			switch result.Status {
			case lint.Error, lint.Fatal:
				found.Errors = append(found.Errors, said)
			case lint.Warn:
				found.Warnings = append(found.Warnings, said)
			case lint.Pass:
				found.Passed++
			}
		}
		sort.Strings(found.Errors)
		sort.Strings(found.Warnings)
		if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
			fail(err)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
