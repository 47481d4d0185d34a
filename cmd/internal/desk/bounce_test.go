package desk

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"sandi/agenda"
	"sandi/cmd/internal/config"
	"sandi/mail"
	"sandi/mail/loopback"
)

// The gateway takes both copies; the server of one addressee refuses later.
// The notice that Postfix writes about it finds its copy, which stays taken by
// the gateway, is shown as not delivered, and waits for a new entry.
func TestBounceThroughPostfix(t *testing.T) {
	if why := postfixMissing(); why != "" {
		t.Skip(why)
	}
	a := &answers{stage: "rcpt", addr: "jateng", reply: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}}
	far, err := loopback.Start(loopback.Options{TLS: mail.TLSNone, Hook: a.hook})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	host, port, _ := strings.Cut(far.Addr(), ":")
	g := startPostfix(t, fmt.Sprintf("transport_maps = inline:{jateng@contoh.sanapati.test=smtp:[%s]:%s}", host, port))
	f := officeAt(t, time.Now, config.Gateway{Address: g.addr, TLS: "starttls", Username: g.user, CA: g.ca})
	ctx := t.Context()
	k := f.signed("jateng", "batang")
	if res := f.send(k); len(res.Deliveries) != 2 || f.copyStates(k) != "accepted accepted" {
		t.Fatalf("deliveries %+v", res.Deliveries)
	}
	g.messages(t, 1, "\nAction: failed")
	g.messages(t, 1, "\nAction: delivered")

	res, err := f.Receipts(ctx, ReceiptParams{Sources: []string{g.maildir}})
	f.check(err)
	var got []string
	for _, r := range res.Receipts {
		got = append(got, fmt.Sprintf("%d %s %s %s %s", r.Ref.Copy, r.Kind, r.Action, r.Status, r.Matched))
	}
	slices.Sort(got)
	if want := []string{"1 dsn failed 5.1.1 envid", "2 dsn delivered 2.0.0 envid"}; !slices.Equal(got, want) {
		t.Errorf("receipts %q, want %q", got, want)
	}
	e := f.entry(k)
	if e.State != agenda.StateSent || f.copyStates(k) != "accepted accepted" {
		t.Errorf("%s, copies %s", e.State, f.copyStates(k))
	}
	waiting := func() (list []string) {
		g, err := f.Glance(ctx)
		f.check(err)
		for _, x := range g.Tasks {
			list = append(list, fmt.Sprintf("%s %s %s", x.Entry.Name, x.Next, x.Handle))
		}
		return list
	}
	if got := waiting(); !slices.Equal(got, []string{"K1 again jateng"}) {
		t.Errorf("waiting: %q", got)
	}
	// What the clerk does next settles it: a new entry that names the old one.
	again := e.Letter
	again.Refers, again.To = k.Long(), []string{"jateng"}
	again.Received = time.Time{}
	f.add(again)
	if got := waiting(); !slices.Equal(got, []string{"K2 encrypt "}) {
		t.Errorf("waiting: %q", got)
	}
	f.audited()
}
