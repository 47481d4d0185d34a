package vault

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func hardenSystem() { _ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }

func openUnnamed(folder string) (*os.File, error) {
	return os.OpenFile(folder, unix.O_TMPFILE|os.O_RDWR, 0o600)
}

// linkUnnamed gives a file of openUnnamed its name; it fails when the name is taken. The path through /proc is the way open to
// ordinary users.
func linkUnnamed(f *os.File, name string) error {
	err := unix.Linkat(unix.AT_FDCWD, "/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.AT_FDCWD, name, unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return &os.LinkError{Op: "linkat", New: name, Err: err}
	}
	return nil
}

// networkMagic are the file systems on which locks and fsync do not hold what they promise (statfs(2), linux/magic.h).
var networkMagic = map[int64]string{
	0x6969:     "nfs",
	0x517b:     "smb",
	0xff534d42: "cifs",
	0xfe534d42: "smb2",
	0x01021997: "9p",
	0x5346414f: "afs",
	0x73757245: "coda",
	0x564c:     "ncp",
	0x00c36400: "ceph",
	0x0bd00bd0: "lustre",
}

// InRAM says whether a folder lies on a file system that keeps its files in memory only (tmpfs may still swap).
func InRAM(folder string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return false
	}
	magic := uint32(st.Type)
	return magic == unix.TMPFS_MAGIC || magic == unix.RAMFS_MAGIC
}

const fuseMagic = 0x65735546

// networkFuse are the FUSE programs that reach over a network or into a cloud; others (ntfs-3g, exfat) are local.
var networkFuse = []string{"sshfs", "rclone", "gvfsd-fuse", "davfs", "s3fs", "glusterfs", "google-drive-ocamlfuse", "onedriver", "curlftpfs"}

func networkFileSystem(path string) (string, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return "", &os.PathError{Op: "statfs", Path: path, Err: err}
	}
	magic := int64(uint32(st.Type)) // sign and width of the field differ between systems
	if kind := networkMagic[magic]; kind != "" {
		return kind, nil
	}
	if magic != fuseMagic {
		return "", nil
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return "", nil // without the list a FUSE mount is taken as local
	}
	defer f.Close()
	kind := mountType(bufio.NewScanner(f), path)
	for _, program := range networkFuse {
		if kind == "fuse."+program {
			return kind, nil
		}
	}
	return "", nil
}

// mountType finds the type of the mount with the longest path above path, in the form of proc(5) mountinfo.
func mountType(lines *bufio.Scanner, path string) string {
	var best, kind string
	for lines.Scan() {
		left, right, ok := strings.Cut(lines.Text(), " - ")
		fields, types := strings.Fields(left), strings.Fields(right)
		if !ok || len(fields) < 5 || len(types) < 1 {
			continue
		}
		point := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4])
		if (path == point || point == "/" || strings.HasPrefix(path, point+"/")) && len(point) >= len(best) {
			best, kind = point, types[0]
		}
	}
	return kind
}
