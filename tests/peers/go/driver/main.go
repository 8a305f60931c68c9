// Command driver lets a test in another language call the Go client's library.
//
// It reads calls from standard input, one JSON object a line, and answers each with one line:
// {"value": ...} or {"error": {"kind": ..., "exception": ..., "text": ...}}. The NameNode and
// the user come from HADOOP_NAMENODE and HADOOP_USER_NAME.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/colinmarc/hdfs/v2"
)

// call is what a line may say; each operation takes the fields that it needs.
type call struct {
	Op          string
	Path        string
	To          string
	Data        []byte
	Offset      int64
	Length      int64
	Count       int
	Mode        uint32
	Replication int
	BlockSize   int64
	User        string
	Group       string
	Seconds     [2]int64
}

type entry struct {
	Path  string `json:"path"`
	Size  int64  `json:"size"`
	Mode  string `json:"mode"`
	Dir   bool   `json:"dir"`
	Owner string `json:"owner"`
	Group string `json:"group"`
	MTime int64  `json:"mtime"`
	ATime int64  `json:"atime"`
}

func describe(path string, info os.FileInfo) entry {
	own := info.(*hdfs.FileInfo)
	return entry{
		path, info.Size(), info.Mode().String(), info.IsDir(),
		own.Owner(), own.OwnerGroup(), info.ModTime().Unix(), own.AccessTime().Unix(),
	}
}

// driver holds the client and the files that are being written.
type driver struct {
	client  *hdfs.Client
	writers map[string]*hdfs.FileWriter
}

func (d *driver) run(c call) (interface{}, error) {
	switch c.Op {
	case "create":
		return nil, d.keep(c.Path)(d.client.CreateFile(
			c.Path, c.Replication, c.BlockSize, os.FileMode(c.Mode)))
	case "create default":
		return nil, d.keep(c.Path)(d.client.Create(c.Path))
	case "append":
		return nil, d.keep(c.Path)(d.client.Append(c.Path))
	case "write":
		return d.writers[c.Path].Write(c.Data)
	case "flush":
		return nil, d.writers[c.Path].Flush()
	case "close":
		return nil, d.close(c.Path)
	case "stat":
		info, err := d.client.Stat(c.Path)
		if err != nil {
			return nil, err
		}
		return describe(c.Path, info), nil
	case "list":
		return d.list(c.Path, c.Count)
	case "walk":
		return d.walk(c.Path)
	case "read at":
		return d.readAt(c.Path, c.Offset, c.Length)
	case "read":
		return d.client.ReadFile(c.Path)
	case "checksum":
		return d.checksum(c.Path)
	case "rename":
		return nil, d.client.Rename(c.Path, c.To)
	case "truncate":
		return d.client.Truncate(c.Path, c.Length)
	case "mkdir":
		return nil, d.client.Mkdir(c.Path, os.FileMode(c.Mode))
	case "mkdir all":
		return nil, d.client.MkdirAll(c.Path, os.FileMode(c.Mode))
	case "remove":
		return nil, d.client.Remove(c.Path)
	case "remove all":
		return nil, d.client.RemoveAll(c.Path)
	case "chmod":
		return nil, d.client.Chmod(c.Path, os.FileMode(c.Mode))
	case "chown":
		return nil, d.client.Chown(c.Path, c.User, c.Group)
	case "chtimes":
		return nil, d.client.Chtimes(
			c.Path, time.Unix(c.Seconds[0], 0), time.Unix(c.Seconds[1], 0))
	case "stat fs":
		return d.client.StatFs()
	case "defaults":
		return d.client.ServerDefaults()
	case "summary":
		found, err := d.client.GetContentSummary(c.Path)
		if err != nil {
			return nil, err
		}
		return map[string]int64{
			"size": found.Size(), "consumed": found.SizeAfterReplication(),
			"files": int64(found.FileCount()), "directories": int64(found.DirectoryCount()),
		}, nil
	}
	return nil, fmt.Errorf("no such operation: %q", c.Op)
}

func (d *driver) keep(path string) func(*hdfs.FileWriter, error) error {
	return func(writer *hdfs.FileWriter, err error) error {
		if err == nil {
			d.writers[path] = writer
		}
		return err
	}
}

// close asks again while the last block has too few replicas, as the library says one must.
func (d *driver) close(path string) error {
	writer := d.writers[path]
	delete(d.writers, path)
	for {
		err := writer.Close()
		if !hdfs.IsErrReplicating(err) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// list reads a directory in pages of count entries.
func (d *driver) list(path string, count int) ([]entry, error) {
	reader, err := d.client.Open(path)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	found := []entry{}
	for {
		page, err := reader.Readdir(count)
		for _, info := range page {
			found = append(found, describe(info.Name(), info))
		}
		if err == io.EOF || (err == nil && count <= 0) {
			return found, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (d *driver) walk(root string) ([]entry, error) {
	found := []entry{}
	err := d.client.Walk(root, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		found = append(found, describe(path, info))
		return nil
	})
	return found, err
}

func (d *driver) readAt(path string, offset, length int64) ([]byte, error) {
	reader, err := d.client.Open(path)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	data := make([]byte, length)
	n, err := reader.ReadAt(data, offset)
	if err == io.EOF {
		err = nil
	}
	return data[:n], err
}

func (d *driver) checksum(path string) (string, error) {
	reader, err := d.client.Open(path)
	if err != nil {
		return "", err
	}
	defer reader.Close()
	sum, err := reader.Checksum()
	return hex.EncodeToString(sum), err
}

// kinds are what a Go program tells errors apart by.
var kinds = []struct {
	name  string
	error error
}{
	{"not exist", os.ErrNotExist},
	{"not empty", syscall.ENOTEMPTY}, // which is an os.ErrExist, too
	{"exist", os.ErrExist},
	{"permission", os.ErrPermission},
	{"invalid", os.ErrInvalid},
}

func answer(value interface{}, err error) map[string]interface{} {
	if err == nil {
		return map[string]interface{}{"value": value}
	}
	said := map[string]string{"kind": "", "exception": "", "text": err.Error()}
	for _, kind := range kinds {
		if errors.Is(err, kind.error) {
			said["kind"] = kind.name
			break
		}
	}
	var remote hdfs.Error
	if errors.As(err, &remote) {
		said["exception"] = remote.Exception()
	}
	return map[string]interface{}{"error": said}
}

func serve() error {
	client, err := hdfs.NewClient(hdfs.ClientOptions{
		Addresses: []string{os.Getenv("HADOOP_NAMENODE")},
		User:      os.Getenv("HADOOP_USER_NAME"),
	})
	if err != nil {
		return err
	}
	defer client.Close()
	d := &driver{client, map[string]*hdfs.FileWriter{}}
	calls := json.NewDecoder(bufio.NewReader(os.Stdin))
	answers := json.NewEncoder(os.Stdout)
	for {
		var c call
		if err := calls.Decode(&c); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := answers.Encode(answer(d.run(c))); err != nil {
			return err
		}
	}
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
