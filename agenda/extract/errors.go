package extract

import "fmt"

// Error is a sheet that cannot be drawn as asked. Other errors are those of
// the writer or of the rows, unchanged.
type Error struct {
	code  string
	Field string
	Value string
}

// Stable codes of [Error].
const (
	CodePaper   = "extract.paper"   // unknown paper size
	CodeColumns = "extract.columns" // no columns, or a column without width
	CodeEmblem  = "extract.emblem"  // an emblem that is not a PNG or JPEG picture
	CodeNote    = "extract.note"    // a checkpoint note too long for a QR code
	CodeDrawing = "extract.drawing" // the PDF library refused
	CodePicture = "extract.picture" // a scan that is no readable picture
	CodeFax     = "extract.fax"     // a fax that is not whole, or packed in strips of two dimensions
)

// Code returns the stable code of the error.
func (e *Error) Code() string { return e.code }

func (e *Error) Error() string {
	if e.Value == "" {
		return e.Field
	}
	return fmt.Sprintf("%s: %q", e.Field, e.Value)
}
