package agenda

import (
	"encoding/base64"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// tree is the edge of the Merkle tree (RFC 6962 §2.1): the roots of its
// complete subtrees from the largest to the smallest. It is all that an append
// and the root need; the rest stays in the event rows.
type tree struct {
	size  int64
	peaks []Hash
}

// push appends the leaf of a record and returns the nodes column of its row:
// the leaf hash and each tree node that this leaf completes, from level 0 up.
func (t *tree) push(leaf Hash) []byte {
	nodes := append(make([]byte, 0, 64), leaf[:]...)
	node := leaf
	for n := t.size; n&1 == 1; n >>= 1 {
		left := t.peaks[len(t.peaks)-1]
		t.peaks = t.peaks[:len(t.peaks)-1]
		node = Hash(tlog.NodeHash(tlog.Hash(left), tlog.Hash(node)))
		nodes = append(nodes, node[:]...)
	}
	t.peaks = append(t.peaks, node)
	t.size++
	return nodes
}

// root is the tree hash; of an empty tree the hash of nothing.
func (t *tree) root() Hash {
	if t.size == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return Hash(h)
	}
	node := t.peaks[len(t.peaks)-1]
	for i := len(t.peaks) - 2; i >= 0; i-- {
		node = Hash(tlog.NodeHash(tlog.Hash(t.peaks[i]), tlog.Hash(node)))
	}
	return node
}

// clone copies the edge, so that a transaction may fail.
func (t *tree) clone() tree {
	return tree{size: t.size, peaks: append([]Hash(nil), t.peaks...)}
}

func leafHash(record []byte) Hash { return Hash(tlog.RecordHash(record)) }

// edgeRows lists, for a tree of the size, the event row that holds each peak
// and the peak's level in that row.
func edgeRows(size int64) (rows []int64, levels []int) {
	var end int64
	for rest := size; rest != 0; {
		level := 63 - bits.LeadingZeros64(uint64(rest))
		end += 1 << level
		rows, levels = append(rows, end-1), append(levels, level)
		rest &^= 1 << level
	}
	return rows, levels
}

// nodeAt cuts the node of a level out of a nodes column.
func nodeAt(nodes []byte, level int) (Hash, error) {
	if len(nodes)%32 != 0 || len(nodes) < 32*(level+1) {
		return Hash{}, tampered("tree nodes")
	}
	return Hash(nodes[32*level : 32*level+32]), nil
}

// checkpointText is the body of a C2SP tlog-checkpoint.
func checkpointText(origin string, size int64, root Hash) []byte {
	return fmt.Appendf(nil, "%s\n%d\n%s\n", origin, size, base64.StdEncoding.EncodeToString(root[:]))
}

// ParseCheckpoint reads the body of a checkpoint as this package writes it:
// origin, size and root, without extension lines.
func ParseCheckpoint(text []byte) (origin string, size int64, root Hash, err error) {
	lines := strings.Split(string(text), "\n")
	if len(lines) != 4 || lines[0] == "" || lines[3] != "" {
		return "", 0, Hash{}, invalid("checkpoint", "")
	}
	size, err = strconv.ParseInt(lines[1], 10, 64)
	raw, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || err2 != nil || size < 0 || len(raw) != 32 {
		return "", 0, Hash{}, invalid("checkpoint", "")
	}
	root = Hash(raw)
	if string(checkpointText(lines[0], size, root)) != string(text) {
		return "", 0, Hash{}, invalid("checkpoint", "")
	}
	return lines[0], size, root, nil
}
