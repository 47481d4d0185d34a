package cmd

// detach does nothing: scripts have no terminal here.
func detach() {}
