module weft.dev/bench/loadgen

go 1.26

require golang.org/x/net v0.58.0
