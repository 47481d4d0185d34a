// Package config reads sandi.yaml: the office, its gateway and its service profile.
//
// [Parse] is strict: an unknown key, a value of the wrong kind or a word outside its list is refused with the key's name,
// since a setting that is silently ignored is a promise broken later. [Render] writes the file that a new desk starts with;
// Parse accepts it unchanged. The environment is never read. A parsed [Config] is not changed any more and may be shared.
//
// Lists are used where a map with names as keys would come to mind: the reader folds the case of every key.
package config

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/viper"

	"sandi/mail"
)

// Codes of the errors of this package.
const (
	CodeUnknownKey = "config.unknown_key"
	CodeInvalid    = "config.invalid"
	CodeSyntax     = "config.syntax"
	CodeStorage    = "config.storage"
)

// Error names the key that cannot stand. Key is a path such as "gateway.tls" or "profile.books[1].title".
type Error struct {
	Key    string
	Detail string
	Err    error

	code string
}

// Code returns the stable code of the error.
func (e *Error) Code() string { return e.code }

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("configuration")
	for _, s := range []string{e.Key, e.Detail} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// Config is the whole of sandi.yaml.
type Config struct {
	// Language is "id" or "en"; empty leaves it to the flag and the environment.
	Language string `mapstructure:"language"`
	// As is the handle of the officer at the keyboard when neither --as nor SANDI_AS says it; may be empty.
	As      string  `mapstructure:"as"`
	Office  Office  `mapstructure:"office"`
	Gateway Gateway `mapstructure:"gateway"`
	// Groups are the short names for several correspondents, "--to @name".
	Groups  []Group `mapstructure:"groups"`
	Profile Profile `mapstructure:"profile"`
}

// Office is what stands in the letterhead and under the sheets.
type Office struct {
	Name       string   `mapstructure:"name"`       // "Dinas Komunikasi dan Informatika Kota Pekalongan", also in every draft
	City       string   `mapstructure:"city"`       // before the date on a sheet: "Pekalongan"
	Letterhead []string `mapstructure:"letterhead"` // the capital lines of the kop, the last one larger
	Contact    []string `mapstructure:"contact"`    // address, telephone, website, mail: lines below the letterhead
	Emblem     string   `mapstructure:"emblem"`     // PNG or JPEG file, relative to the desk or absolute; empty: none
}

// Gateway is the mail server of the service, and our mailbox there.
type Gateway struct {
	Address         string   `mapstructure:"address"`  // host:port
	TLS             string   `mapstructure:"tls"`      // "implicit", "starttls"; "none" only to a loopback address
	Username        string   `mapstructure:"username"` // empty: no login
	CA              string   `mapstructure:"ca"`       // PEM file, relative to the desk or absolute; empty: the system's
	Pins            []string `mapstructure:"pins"`     // SHA-256 of a server key (SPKI), 64 hex digits; any one suffices
	From            string   `mapstructure:"from"`     // our address
	EHLO            string   `mapstructure:"ehlo"`     // name given to the server; empty: the part of From after "@"
	PasswordCommand []string `mapstructure:"password_command"`
	MaxSize         int64    `mapstructure:"max_size"` // octets of one message; 0: what the server says
	// ClientCert and ClientKey are PEM files for a server that wants our certificate; the login is then EXTERNAL (RFC 4422) where
	// no Username is set.
	ClientCert    string `mapstructure:"client_cert"`
	ClientKey     string `mapstructure:"client_key"`
	Connections   int    `mapstructure:"connections"`    // at most, side by side; 0: 4
	PerMinute     int    `mapstructure:"per_minute"`     // messages a minute over all connections; 0: no limit
	PerConnection int    `mapstructure:"per_connection"` // messages over one connection; 0: no limit
	// IMAPCA and IMAPPins take the place of CA and Pins where the mailbox is on a server with another certificate.
	IMAPCA   string   `mapstructure:"imap_ca"`
	IMAPPins []string `mapstructure:"imap_pins"`
}

// Group is a named list of correspondents (handles).
type Group struct {
	Name    string   `mapstructure:"name"`
	Members []string `mapstructure:"members"`
}

// MailDomain is the part of the gateway's From after the "@".
func (g Gateway) MailDomain() string {
	_, domain, _ := strings.Cut(g.From, "@")
	return domain
}

// EHLOName is the name given to the server.
func (g Gateway) EHLOName() string {
	if g.EHLO != "" {
		return g.EHLO
	}
	return g.MailDomain()
}

// Mailbox is the gateway as the server of our mailbox: the same account, its own authority and pins if it has any.
func (g Gateway) Mailbox() Gateway {
	if g.IMAPCA != "" {
		g.CA = g.IMAPCA
	}
	if len(g.IMAPPins) > 0 {
		g.Pins = g.IMAPPins
	}
	return g
}

// PinDigests returns the pins as digests; Parse has checked their form.
func (g Gateway) PinDigests() [][32]byte {
	var pins [][32]byte
	for _, s := range g.Pins {
		var pin [32]byte
		if n, err := hex.Decode(pin[:], []byte(s)); err == nil && n == len(pin) {
			pins = append(pins, pin)
		}
	}
	return pins
}

// Resolve returns a path of the configuration as seen from the desk folder: relative ones lie in it. Empty stays empty.
func Resolve(desk, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(desk, path)
}

// Load reads and parses the file. The bytes are returned for the digest that enters the log.
func Load(path string) (*Config, []byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, &Error{code: CodeStorage, Err: err}
	}
	c, err := Parse(data)
	if err != nil {
		return nil, data, err
	}
	return c, data, nil
}

// maxSize bounds a configuration: a letterhead is short, a file of this size is a mistake.
const maxSize = 256 << 10

// Parse reads a whole sandi.yaml. Errors are of type [*Error].
func Parse(data []byte) (*Config, error) {
	if len(data) > maxSize {
		return nil, &Error{code: CodeInvalid, Detail: fmt.Sprintf("larger than %d octets", maxSize)}
	}
	// The reader takes the first document of a file and drops the rest without a word.
	if i := bytes.Index(data, []byte("\n---")); i >= 0 && len(bytes.TrimSpace(stripComments(data[:i]))) > 0 {
		return nil, &Error{code: CodeInvalid, Detail: "more than one document"}
	}
	v := viper.New()
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(data)); err != nil {
		return nil, &Error{code: CodeSyntax, Detail: syntaxDetail(err)}
	}
	var c Config
	if err := v.UnmarshalExact(&c, viper.DecodeHook(textHook)); err != nil {
		return nil, decodeError(err)
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	return &c, nil
}

func stripComments(data []byte) []byte {
	var out []byte
	for line := range bytes.Lines(data) {
		if !bytes.HasPrefix(bytes.TrimSpace(line), []byte("#")) {
			out = append(out, line...)
		}
	}
	return out
}

var syntaxPattern = regexp.MustCompile(`line \d+: .*`)

// syntaxDetail keeps the line number of a YAML error and drops the reader's own framing.
func syntaxDetail(err error) string {
	if s := syntaxPattern.FindString(err.Error()); s != "" {
		return s
	}
	return err.Error()
}

// errNotText is what textHook says of an unquoted number or truth value where a text belongs.
var errNotText = errors.New("write the value in quotes")

// textHook stops the reader from guessing: YAML turns 017 into fifteen and a bare date into an instant, and the decoder would
// turn them back into other text than the office wrote.
func textHook(from, to reflect.Type, value any) (any, error) {
	switch {
	case to.Kind() == reflect.String && from == reflect.TypeFor[time.Time]():
		return value.(time.Time).Format(time.DateOnly), nil
	case to.Kind() == reflect.String && from.Kind() != reflect.String:
		return nil, errNotText
	case from.Kind() == reflect.String && (to.Kind() == reflect.Int || to.Kind() == reflect.Int64 || to.Kind() == reflect.Bool):
		return nil, errors.New("write the value without quotes")
	case to.Kind() == reflect.Slice && from.Kind() != reflect.Slice:
		return nil, errors.New("write the value as a list")
	}
	return value, nil
}

var (
	unknownPattern = regexp.MustCompile(`'([^']*)' has invalid keys: ([^\n,]+)`)
	valuePattern   = regexp.MustCompile(`'([^']*)' ([^\n]+)`)
)

func decodeError(err error) error {
	text := err.Error()
	if m := unknownPattern.FindStringSubmatch(text); m != nil {
		key := strings.TrimSpace(m[2])
		if m[1] != "" {
			key = m[1] + "." + key
		}
		return &Error{code: CodeUnknownKey, Key: keyPath(key)}
	}
	if m := valuePattern.FindStringSubmatch(text); m != nil {
		detail := m[2]
		if i := strings.LastIndex(detail, "write the value"); i >= 0 {
			detail = detail[i:]
		}
		return &Error{code: CodeInvalid, Key: keyPath(m[1]), Detail: detail}
	}
	return &Error{code: CodeInvalid, Detail: text}
}

// keyPath turns the decoder's mixture of field names and keys into the spelling of the file.
func keyPath(path string) string {
	parts := strings.Split(path, ".")
	typ := reflect.TypeFor[Config]()
	for i, part := range parts {
		name, index, _ := strings.Cut(part, "[")
		for typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			break
		}
		for f := range typ.NumField() {
			field := typ.Field(f)
			if key := field.Tag.Get("mapstructure"); field.Name == name || key == name {
				parts[i] = key
				if index != "" {
					parts[i] += "[" + index
				}
				typ = field.Type
				break
			}
		}
	}
	return strings.Join(parts, ".")
}

// checker collects the first fault; the file is mended one key at a time.
type checker struct{ err *Error }

func (c *checker) fail(key, detail string) {
	if c.err == nil {
		c.err = &Error{code: CodeInvalid, Key: key, Detail: detail}
	}
}

func (c *checker) text(key, value string) {
	switch {
	case strings.TrimSpace(value) == "":
		c.fail(key, "is missing")
	case strings.TrimSpace(value) != value:
		c.fail(key, "begins or ends with a blank")
	default:
		c.line(key, value)
	}
}

// maxName bounds the names that stand in a line of a signed text, in octets.
const maxName = 200

// name is a text that stands in a line of a signed text.
func (c *checker) name(key, value string) {
	if c.text(key, value); len(value) > maxName {
		c.fail(key, "is longer than "+strconv.Itoa(maxName))
	}
}

// line refuses what would break a line of a draft, a header or a form.
func (c *checker) line(key, value string) {
	for _, r := range value {
		if unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			c.fail(key, "holds a control character")
			return
		}
	}
}

func (c *checker) word(key, value string, words []string) {
	if !slices.Contains(words, value) {
		c.fail(key, "must be one of "+strings.Join(words, ", "))
	}
}

func (c *checker) number(key string, value, from, to int64) {
	if value < from || value > to {
		c.fail(key, "must be between "+strconv.FormatInt(from, 10)+" and "+strconv.FormatInt(to, 10))
	}
}

// address is the coarse form only; the mail package is the judge of an address when it is used.
var addressPattern = regexp.MustCompile(`^[^\s@<>"]+@[^\s@<>"]+$`)

var handlePattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

func (c *Config) validate() error {
	k := &checker{}
	if c.Language != "" {
		k.word("language", c.Language, []string{"id", "en"})
	}
	if c.As != "" && !handlePattern.MatchString(c.As) {
		k.fail("as", "is not a handle")
	}
	k.name("office.name", c.Office.Name)
	k.line("office.city", c.Office.City)
	for i, s := range c.Office.Letterhead {
		k.text(at("office.letterhead", i), s)
	}
	for i, s := range c.Office.Contact {
		k.text(at("office.contact", i), s)
	}
	c.Gateway.validate(k)
	seen := map[string]bool{}
	for i, g := range c.Groups {
		key := at("groups", i)
		if !handlePattern.MatchString(g.Name) || seen[g.Name] {
			k.fail(key+".name", "is not a new handle")
		}
		seen[g.Name] = true
		if len(g.Members) == 0 {
			k.fail(key+".members", "is missing")
		}
		for j, m := range g.Members {
			if !handlePattern.MatchString(m) {
				k.fail(at(key+".members", j), "is not a handle")
			}
		}
	}
	c.Profile.validate(k)
	if k.err != nil {
		return k.err
	}
	return nil
}

func (g Gateway) validate(k *checker) {
	host, port, err := net.SplitHostPort(g.Address)
	if n, perr := strconv.Atoi(port); err != nil || host == "" || perr != nil || n < 1 || n > 65535 {
		k.fail("gateway.address", "must be host:port")
	}
	k.word("gateway.tls", g.TLS, []string{"implicit", "starttls", "none"})
	if mail.TLSMode(g.TLS) == mail.TLSNone && !mail.LoopbackHost(host) {
		k.fail("gateway.tls", "is none, but gateway.address is not this machine")
	}
	if !addressPattern.MatchString(g.From) {
		k.fail("gateway.from", "is not an address")
	}
	k.line("gateway.from", g.From)
	k.line("gateway.username", g.Username)
	k.line("gateway.ca", g.CA)
	if strings.ContainsAny(g.EHLO, " \t") {
		k.fail("gateway.ehlo", "is not a host name")
	}
	k.line("gateway.ehlo", g.EHLO)
	for key, pins := range map[string][]string{"gateway.pins": g.Pins, "gateway.imap_pins": g.IMAPPins} {
		for i, pin := range pins {
			if raw, err := hex.DecodeString(pin); err != nil || len(raw) != 32 || pin != strings.ToLower(pin) {
				k.fail(at(key, i), "must be 64 lower-case hexadecimal digits")
			}
		}
	}
	k.line("gateway.imap_ca", g.IMAPCA)
	for i, s := range g.PasswordCommand {
		if s == "" || strings.ContainsRune(s, 0) {
			k.fail(at("gateway.password_command", i), "is empty")
		}
	}
	k.number("gateway.max_size", g.MaxSize, 0, 1<<40)
	k.line("gateway.client_cert", g.ClientCert)
	k.line("gateway.client_key", g.ClientKey)
	if (g.ClientCert == "") != (g.ClientKey == "") {
		k.fail("gateway.client_key", "client_cert and client_key belong together")
	}
	k.number("gateway.connections", int64(g.Connections), 0, 32)
	k.number("gateway.per_minute", int64(g.PerMinute), 0, 60_000)
	k.number("gateway.per_connection", int64(g.PerConnection), 0, 1_000_000)
}

func at(key string, i int) string { return key + "[" + strconv.Itoa(i) + "]" }
