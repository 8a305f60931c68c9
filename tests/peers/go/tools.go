//go:build tools

// Package peers keeps what tools/install_go_client.sh builds besides our own programs, so
// that go.mod and go.sum name all that it is made of.
package peers

import _ "github.com/colinmarc/hdfs/v2/cmd/hdfs"
