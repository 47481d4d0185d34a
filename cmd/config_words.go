package cmd

import "strings"

// configWords are the words for what package config says of a value: by how that begins, with what follows put in.
var configWords = []struct{ begin, id string }{
	{"is missing", "missing"},
	{"holds a control character", "control"},
	{"begins or ends with a blank", "blank"},
	{"is longer than ", "long"},
	{"must be one of ", "one_of"},
	{"must be between ", "between"},
	{"is not a handle", "handle"},
	{"is not a new handle", "new_handle"},
	{"must be host:port", "host_port"},
	{"is none, but gateway.address is not this machine", "bare"},
	{"is not an address", "address"},
	{"is not a host name", "host"},
	{"must be 64 lower-case hexadecimal digits", "pin"},
	{"is empty", "empty"},
	{"client_cert and client_key belong together", "client"},
	{"is not one of profile.qualifications", "qualification"},
	{"must be 1 to 280 mm wide together, is ", "width"},
	{"must be the role before it", "role_before"},
	{"the class biasa is not enciphered", "plain_class"},
	{"is needed to allow sangat-rahasia, and decided_by too", "decided"},
	{"is before from", "until"},
	{"must be a date such as 2026-11-23", "date"},
	{"must be a range such as 08.00-12.00, later than the one before it", "range"},
	{"write the value in quotes", "quotes"},
	{"write the value without quotes", "no_quotes"},
	{"write the value as a list", "list"},
	{"must be changed in sandi.yaml itself", "itself"},
}

// configDetail says in the screen's language what is wrong with a value of sandi.yaml; what has no words stays as it is.
func (a *app) configDetail(detail string) string {
	for _, w := range configWords {
		if rest, ok := strings.CutPrefix(detail, w.begin); ok && (rest == "" || strings.HasSuffix(w.begin, " ")) {
			return a.cat.Text("detail.config."+w.id, "rest", rest)
		}
	}
	for end, id := range map[string]string{" stands twice": "twice", " is missing": "without"} {
		if rest, ok := strings.CutSuffix(detail, end); ok {
			return a.cat.Text("detail.config."+id, "rest", rest)
		}
	}
	return detail
}
