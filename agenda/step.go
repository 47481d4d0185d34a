package agenda

// State is the state of an entry.
type State string

// The entry states.
const (
	StateRegistered State = "registered"
	StateAttached   State = "attached"
	StateDrafted    State = "drafted"
	StateSigned     State = "signed"
	StateReleased   State = "released"
	StateSent       State = "sent"
	StateArchived   State = "archived"
	StateReported   State = "reported"
	StateVoid       State = "void"
)

// Step is an action of the service standards on an entry.
type Step string

// The steps. StepSend is the delivery that follows a release: a copy settled,
// resolved or readdressed.
const (
	StepOrder   Step = "order"
	StepAttach  Step = "attach"
	StepCorrect Step = "correct"
	StepVoid    Step = "void"
	StepDraft   Step = "draft"
	StepRead    Step = "read"
	StepReturn  Step = "return"
	StepSign    Step = "sign"
	StepRelease Step = "release"
	StepSend    Step = "send"
	StepArchive Step = "archive"
	StepReport  Step = "report"
)

// move is one line of the step table. Where the state after depends on more
// than the state before (a correction of substance, the last copy, the last
// report), other is the second possibility.
type move struct {
	from, to, other State
}

// steps is the whole order of the standards, and its only home. What is not
// here is refused.
var steps = map[BookName]map[Step][]move{
	Kriptogram: {
		StepOrder: {{StateRegistered, StateRegistered, ""}},
		StepCorrect: {
			{StateRegistered, StateRegistered, ""},
			{StateDrafted, StateDrafted, StateRegistered},
			{StateSigned, StateSigned, StateRegistered},
		},
		StepVoid: {
			{StateRegistered, StateVoid, ""},
			{StateDrafted, StateVoid, ""},
			{StateSigned, StateVoid, ""},
			{StateReleased, StateVoid, ""},
		},
		StepDraft: {
			{StateRegistered, StateDrafted, ""},
			{StateDrafted, StateDrafted, ""},
			{StateSigned, StateDrafted, ""},
		},
		StepRead:    {{StateDrafted, StateDrafted, ""}},
		StepReturn:  {{StateDrafted, StateRegistered, ""}, {StateSigned, StateRegistered, ""}},
		StepSign:    {{StateDrafted, StateSigned, ""}},
		StepRelease: {{StateSigned, StateReleased, ""}},
		StepSend:    sending,
		StepArchive: {{StateSent, StateArchived, ""}, {StateReported, StateReported, ""}},
		StepReport: {
			{StateSent, StateSent, StateReported},
			{StateArchived, StateArchived, StateReported},
			{StateReported, StateReported, ""},
		},
	},
	Surat: {
		StepOrder: {
			{StateRegistered, StateRegistered, ""},
			{StateAttached, StateAttached, ""},
			{StateReleased, StateReleased, ""},
			{StateSent, StateSent, ""},
			{StateArchived, StateArchived, ""},
			{StateReported, StateReported, ""},
		},
		StepAttach: {{StateRegistered, StateAttached, ""}, {StateAttached, StateAttached, ""}},
		StepCorrect: {
			{StateRegistered, StateRegistered, ""},
			{StateAttached, StateAttached, ""},
		},
		StepVoid: {
			{StateRegistered, StateVoid, ""},
			{StateAttached, StateVoid, ""},
			{StateReleased, StateVoid, ""},
		},
		StepRelease: {{StateAttached, StateReleased, ""}},
		StepSend:    sending,
		StepArchive: {{StateSent, StateArchived, ""}},
		StepReport: {
			{StateArchived, StateArchived, StateReported},
			{StateReported, StateReported, ""},
		},
	},
	// A report is registered and released in one go.
	Laporan: {
		StepVoid:    {{StateReleased, StateVoid, ""}},
		StepRelease: {{StateRegistered, StateReleased, ""}},
		StepSend:    sending,
		StepArchive: {{StateSent, StateArchived, ""}},
	},
}

// sending is one line: a copy still to settle keeps its entry released, and
// an entry that is sent has none.
var sending = []move{{StateReleased, StateReleased, StateSent}}

// missing names, for a step that came too early, the step that has to come
// first.
var missing = map[BookName]map[State]Step{
	Kriptogram: {
		StateRegistered: StepDraft,
		StateDrafted:    StepSign,
		StateSigned:     StepRelease,
		StateReleased:   StepSend,
		StateSent:       StepArchive,
		StateArchived:   StepReport,
	},
	Surat: {
		StateRegistered: StepAttach,
		StateAttached:   StepRelease,
		StateReleased:   StepSend,
		StateSent:       StepArchive,
		StateArchived:   StepReport,
	},
	Laporan: {
		StateRegistered: StepRelease,
		StateReleased:   StepSend,
		StateSent:       StepArchive,
	},
}

// Next returns the step that the standards expect after state s in book b, or
// "" when nothing is left to do.
func Next(b BookName, s State) Step {
	return missing[b][s]
}

// Allowed tells whether the step may be taken from the state.
func Allowed(b BookName, step Step, from State) bool {
	_, ok := find(b, step, from)
	return ok
}

func find(b BookName, step Step, from State) (move, bool) {
	for _, m := range steps[b][step] {
		if m.from == from {
			return m, true
		}
	}
	return move{}, false
}

// openStates are the states of an entry that still asks for something.
var openStates = []State{
	StateRegistered, StateAttached, StateDrafted, StateSigned, StateReleased, StateSent, StateArchived,
}

// wanted names, for a refused step, the step that has to come first: the next
// one of the entry, if the way from here leads to the step at all.
func wanted(b BookName, step Step, from State) Step {
	first := Next(b, from)
	for s := from; ; {
		next := Next(b, s)
		m, ok := find(b, next, s)
		if !ok {
			return ""
		}
		after := m.to
		if m.other != "" {
			after = m.other
		}
		if after == s {
			return ""
		}
		if Allowed(b, step, after) {
			return first
		}
		s = after
	}
}
