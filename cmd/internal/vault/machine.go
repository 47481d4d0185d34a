package vault

// Secrecy tells whether what is written somewhere lies there enciphered.
type Secrecy string

// What can be told of a disk or of the swap.
const (
	SecrecyEncrypted Secrecy = "encrypted"
	SecrecyPlain     Secrecy = "plain"
	SecrecyNone      Secrecy = "none"    // no swap at all
	SecrecyUnknown   Secrecy = "unknown" // this system cannot be asked without rights
)
