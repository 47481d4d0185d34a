package desk

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"sandi/agenda"
	"sandi/cmd/internal/signedtext"
	"sandi/crypto"
)

// A bundle is what an office gives to its correspondents: the certificates of
// those who sign there, each with its role. It is plain text, so that people
// can read it and gpg can import it. It proves nothing by itself: the
// fingerprints are compared by voice, like any key.
const (
	bundleHead  = "sandi-bundle 1"
	bundleRole  = "jabatan"
	bundleTitle = "sebagai"
	bundlePrint = "sidik-jari"
	bundleWords = "kata-periksa"
	armorBegin  = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	armorEnd    = "-----END PGP PUBLIC KEY BLOCK-----"
)

// CodeBundle is the code of a bundle that cannot be read, or that says of a
// certificate what it is not.
const CodeBundle = "desk.bundle"

// BundleKey is one certificate of a bundle.
type BundleKey struct {
	Role        agenda.Role
	Title       string
	Fingerprint string
	Certificate []byte
}

// Bundle is the office's certificates for others: of everybody who signs
// kriptograms today.
func (d *Desk) Bundle(ctx context.Context) ([]byte, []BundleKey, error) {
	var keys []BundleKey
	var b bytes.Buffer
	fmt.Fprintln(&b, bundleHead)
	b.Write(agenda.AppendLine(nil, "kantor", d.Config.Office.Name))
	b.Write(agenda.AppendLine(nil, "email", d.Config.Gateway.From))
	for _, role := range []agenda.Role{agenda.RoleSandiman, agenda.RoleKepalaSeksi, agenda.RoleOperator} {
		holders, err := d.Book.Holder(ctx, role, d.Now())
		if err != nil {
			return nil, nil, err
		}
		for _, o := range holders {
			if o.Fingerprint == "" {
				continue
			}
			cert, err := d.CertificateOf(ctx, o.Certificate.SHA256)
			if err != nil {
				return nil, nil, err
			}
			k := BundleKey{Role: role, Title: title(o, role), Fingerprint: o.Fingerprint, Certificate: cert.Armor()}
			keys = append(keys, k)
			fmt.Fprintln(&b)
			b.Write(agenda.AppendLine(nil, bundleRole, string(k.Role)))
			b.Write(agenda.AppendLine(nil, bundleTitle, k.Title))
			b.Write(agenda.AppendLine(nil, bundlePrint, k.Fingerprint))
			b.Write(agenda.AppendLine(nil, bundleWords, signedtext.CheckWordsOfKey(k.Fingerprint)))
			b.Write(bytes.TrimRight(k.Certificate, "\n"))
			fmt.Fprintln(&b)
		}
	}
	if len(keys) == 0 {
		return nil, nil, &Error{code: CodeNoKey, Field: string(agenda.RoleSandiman)}
	}
	return b.Bytes(), keys, nil
}

// ReadBundle reads another office's bundle. The fingerprint beside each
// certificate must be its own.
func ReadBundle(path string) (office string, keys []BundleKey, err error) {
	data, err := readLimited(path, maxKeyFile)
	if err != nil {
		return "", nil, &Error{code: CodeFile, Field: path, Err: err}
	}
	bad := func(detail string) error { return &Error{code: CodeBundle, Field: path, Detail: detail} }
	rest, ok := strings.CutPrefix(strings.ReplaceAll(string(data), "\r\n", "\n"), bundleHead+"\n")
	if !ok {
		return "", nil, bad("head")
	}
	var k BundleKey
	for rest != "" {
		line, tail, _ := strings.Cut(rest, "\n")
		if line == armorBegin {
			end := strings.Index(rest, armorEnd)
			if end < 0 {
				return "", nil, bad("certificate")
			}
			end += len(armorEnd)
			k.Certificate = []byte(rest[:end] + "\n")
			cert, err := crypto.ParseCertificate(k.Certificate)
			if err != nil {
				return "", nil, err
			}
			if k.Role == "" || string(cert.Fingerprint()) != k.Fingerprint {
				return "", nil, bad("fingerprint")
			}
			keys = append(keys, k)
			k, rest = BundleKey{}, strings.TrimPrefix(rest[end:], "\n")
			continue
		}
		rest = tail
		if line == "" {
			continue
		}
		lines, err := agenda.ParseLines([]byte(line + "\n"))
		if err != nil {
			return "", nil, bad("line")
		}
		switch l := lines[0]; l.Key {
		case "kantor":
			office = l.Value
		case bundleRole:
			if k.Role, err = agenda.ParseRole(l.Value); err != nil {
				return "", nil, bad("role")
			}
		case bundleTitle:
			k.Title = l.Value
		case bundlePrint:
			k.Fingerprint = l.Value
		}
	}
	if len(keys) == 0 {
		return "", nil, bad("empty")
	}
	return office, keys, nil
}

// SignersOf are the certificates of a bundle as accepted signers.
func SignersOf(keys []BundleKey) []SignerFile {
	var list []SignerFile
	for _, k := range keys {
		list = append(list, SignerFile{Role: k.Role, Data: k.Certificate})
	}
	return list
}

// certificate reads the signer's certificate.
func (s SignerFile) certificate() (*crypto.Certificate, error) {
	if s.Data != nil {
		return crypto.ParseCertificate(s.Data)
	}
	return readCertificate(s.File)
}
