package cmd

import (
	"fmt"
	"io"

	"sandi/agenda"
	"sandi/cmd/internal/render"
)

// helpText writes a topic that is one message.
func helpText(id string) func(*app, io.Writer) {
	return func(a *app, w io.Writer) { fmt.Fprintln(w, a.cat.Text(id)) }
}

// stepCommands are the commands that take a step.
var stepCommands = map[agenda.Step]string{
	agenda.StepDraft: "encrypt", agenda.StepSign: "sign", agenda.StepAttach: "agenda attach", agenda.StepRelease: "send",
	agenda.StepSend: "send --due", agenda.StepArchive: "archive", agenda.StepReport: "report result",
}

// bookStates are the states of an entry in the order of its way.
var bookStates = map[agenda.BookName][]agenda.State{
	agenda.Kriptogram: {
		agenda.StateRegistered, agenda.StateDrafted, agenda.StateSigned, agenda.StateReleased, agenda.StateSent, agenda.StateArchived,
		agenda.StateReported, agenda.StateVoid,
	},
	agenda.Surat: {
		agenda.StateRegistered, agenda.StateAttached, agenda.StateReleased, agenda.StateSent, agenda.StateArchived, agenda.StateReported,
		agenda.StateVoid,
	},
}

// helpStates writes the way of an entry through each book, from the table of steps itself.
func (a *app) helpStates(w io.Writer) {
	for _, book := range []agenda.BookName{agenda.Kriptogram, agenda.Surat} {
		fmt.Fprintln(w, a.cat.Text("topic.states."+string(book)))
		table := render.Table{Head: a.heads("topic.states.heads"), Fixed: []int{0, 1, 2}}
		for _, s := range bookStates[book] {
			next := ""
			if step := agenda.Next(book, s); step != "" && s != agenda.StateVoid && s != agenda.StateReported {
				next = "sandi " + stepCommands[step]
			}
			table.Add(string(s), a.cat.State(string(s)), next)
		}
		_, _ = table.WriteTo(w)
	}
	fmt.Fprintln(w, a.cat.Text("topic.states.back"))
	fmt.Fprintln(w, a.cat.Text("topic.states.copies"))
	table := render.Table{Fixed: []int{0, 1}}
	for _, s := range []agenda.CopyState{
		agenda.CopyReady, agenda.CopyDeferred, agenda.CopyAccepted, agenda.CopyRejected, agenda.CopyDoubt, agenda.CopyEvidenced,
		agenda.CopyHanded, agenda.CopyCancelled,
	} {
		table.Add(string(s), a.cat.CopyState(string(s)))
	}
	_, _ = table.WriteTo(w)
}
